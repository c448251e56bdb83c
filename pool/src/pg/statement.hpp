#pragma once

#include "session.hpp"

#include <libpq-fe.h>

namespace trunkline::pg {

/// Why a statement cannot be sent, found before a byte of it is; no error if it can. `said.message` tells more.
error_code check_statement(const operation& what, diagnostics& said);

/// Hands a checked statement to libpq, which sends what the socket takes. False if libpq refuses: see its message.
bool send_statement(PGconn* to, const operation& what);

/// Gives an operation its error.
void fail(operation& what, error_code code, diagnostics said);

enum class progress : unsigned char {
    waiting,      ///< more must arrive
    ended,        ///< all of it has come
    copy_in,      ///< the server wants the rows of a COPY
    copy_out,     ///< it sends the rows of a COPY
    out_of_step,  ///< what came is not what was asked: the connection cannot go on
};

/// Takes what has arrived for one statement into its operation: the last result, or the first error. In a pipeline: for
/// all statements up to the next synchronisation.
progress collect(PGconn* from, operation& into, bool in_pipeline);

/// Sends the error that ends a COPY from the client. False if libpq refuses.
bool refuse_copy(PGconn* to, const char* why) noexcept;
/// Drops the rows of a COPY that have arrived. False: more must arrive; true: `collect` tells how it ended.
bool drop_copied_rows(PGconn* from) noexcept;

}  // namespace trunkline::pg
