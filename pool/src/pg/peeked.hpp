#pragma once

#include <libpq-fe.h>

namespace trunkline::pg {

/// Whether the next message that waits in the socket is an ErrorResponse; without reading it. False also where that cannot
/// be seen: in the middle of a message, with GSSAPI encryption, with a TLS library that is not OpenSSL.
[[nodiscard]] bool has_error_ahead(PGconn* connection) noexcept;

}  // namespace trunkline::pg
