#pragma once

#include <trunkline/error.hpp>

#include <libpq-fe.h>

#include <string>
#include <string_view>

namespace trunkline::pg {

/// What the server (or libpq) said in an error or a notice. What libpq says itself has no SQLSTATE.
diagnostics diagnosis_of(const PGresult* said);
/// Adds to the detail where in a COPY's data the error is: `COPY posts, line 3, column id`.
void note_line_of_copy(diagnostics& of, const PGresult* said);
/// What libpq last said of a connection.
diagnostics diagnosis_of(const PGconn* connection);
/// The code of an error: its SQLSTATE, or `connection_lost` when libpq itself gave up.
error_code code_of(const diagnostics& said) noexcept;
/// Whether the server ends the session with this.
bool ends_session(const diagnostics& said) noexcept;
/// libpq's text on one line.
std::string one_line(std::string_view text);

}  // namespace trunkline::pg
