#pragma once

#include <libpq-fe.h>

namespace trunkline::pg {

/// Whether OpenSSL holds bytes that the socket no longer shows. One read of libpq's takes at most its buffer's room out
/// of a TLS record of 16 KiB; the rest never makes the socket readable, and who waits for that waits for ever.
bool tls_pending(PGconn* connection) noexcept;

}  // namespace trunkline::pg
