#pragma once

#include <libpq-fe.h>

#include <memory>

namespace trunkline::pg {

/// Who wants to know that a request has ended.
class cancel_observer {
public:
    /// On the helper thread, once: the connection of the request is closed, so if the server took it, its signal has been
    /// sent. Without an answer (a black hole) it may come late or never.
    virtual void on_request_ended() noexcept = 0;

protected:
    ~cancel_observer() = default;
};

/// Asks the server, over a connection of its own and from a helper thread, to stop what `session` runs: encrypted when
/// the session is with libpq >= 17, in clear text with older ones, whose PQcancel knows no other way. Does not block.
/// At most two requests are under way at a time. False if too many wait, or there is no memory or thread: then nothing is
/// sent. `session` may be finished right afterwards. The request may reach the server late: until `told` has been told,
/// the session must not run anything else. `told` may be gone by then.
bool request_cancel(PGconn* session, std::weak_ptr<cancel_observer> told) noexcept;

}  // namespace trunkline::pg
