#pragma once

#include <libpq-fe.h>

#include <string_view>

namespace trunkline::pg {

/// Whether an ErrorResponse waits in the socket, behind notices maybe; without reading it. False also where that cannot be
/// seen: behind more than 16 KiB, with GSSAPI encryption, with a TLS library that is not OpenSSL.
[[nodiscard]] bool has_error_ahead(PGconn* connection) noexcept;

/// The same of bytes from anywhere in what a server sends while it takes COPY's data.
[[nodiscard]] bool holds_error(std::string_view messages) noexcept;

}  // namespace trunkline::pg
