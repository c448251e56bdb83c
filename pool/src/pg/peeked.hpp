#pragma once

#include <libpq-fe.h>

#include <string_view>

namespace trunkline::pg {

/// Whether an ErrorResponse waits in the socket, at most behind some notices; nothing is read. False also where that cannot be
/// seen: in the middle of a message, with GSSAPI encryption, with a TLS library that is not OpenSSL.
[[nodiscard]] bool has_error_ahead(PGconn* connection) noexcept;

/// The same of messages, as far as they have come.
[[nodiscard]] bool begins_with_error(std::string_view messages) noexcept;

}  // namespace trunkline::pg
