#pragma once

#include <libpq-fe.h>

namespace trunkline::pg {

/// Asks the server, over a connection of its own and from a helper thread, to stop what `session` runs. Does not block
/// and promises nothing: the request is dropped when too many wait. `session` may be finished right afterwards. The
/// caller's session must never be used again, because the request may reach the server late.
void request_cancel(PGconn* session) noexcept;

}  // namespace trunkline::pg
