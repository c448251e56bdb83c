#pragma once

#include <trunkline/error.hpp>

#include <string_view>

namespace trunkline::pg {

/// What libpq says of a connect that failed, with the server's SQLSTATE, which libpq gives in no other way than inside
/// its text when the connection's verbosity is `PQERRORS_VERBOSE`. `message` holds the server's own words, or else
/// libpq's; `sqlstate` is empty if no server answered. Of several attempts (with TLS, then without) the last that the
/// server answered counts.
diagnostics read_connect_failure(std::string_view libpq_text);

}  // namespace trunkline::pg
