#pragma once

#include <libpq-fe.h>

#include <memory>

namespace trunkline::pg {

/// Who wants to know that a request has ended.
class cancel_observer {
public:
    /// On the helper thread, once. `certain`: the connection of the request is closed, so if the server took it, its
    /// signal has been sent. Else the request was dropped, or nobody knows. In a black hole it may come late or never.
    virtual void on_request_ended(bool certain) noexcept = 0;

protected:
    ~cancel_observer() = default;
};

#ifdef LIBPQ_HAS_ASYNC_CANCEL
using cancel_target = PGcancelConn;
#else
using cancel_target = PGcancel;
#endif

/// What it takes to ask the server to stop what `session` runs, as often as it needs; `session` may be finished meanwhile.
/// Null: no memory, or the server gave no key.
[[nodiscard]] std::shared_ptr<cancel_target> cancel_target_of(PGconn* session) noexcept;

/// Asks the server, over a connection of its own and from a helper thread, to stop what that session runs: encrypted when
/// the session is with libpq >= 17, in clear text with older ones, whose PQcancel knows no other way. Does not block.
/// At most two requests are under way at a time, and one for each target. False if too many wait, or there is no memory or
/// thread: then nothing is sent. The request may reach the server late: until `told` has been told, the session must not
/// run anything else. `told` may be gone by then.
bool request_cancel(std::shared_ptr<cancel_target> target, std::weak_ptr<cancel_observer> told) noexcept;

}  // namespace trunkline::pg
