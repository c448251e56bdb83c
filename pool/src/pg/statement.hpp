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
    ended,        ///< the server is ready for the next
    unsupported,  ///< it is a COPY: the connection cannot go on
};

/// Takes what has arrived for a statement into its operation: the last result, or the first error.
progress collect(PGconn* from, operation& into);

}  // namespace trunkline::pg
