#pragma once

#include "conninfo.hpp"
#include "handle.hpp"

#include <trunkline/error.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace trunkline::pg {

/// What became of a dial: a session, or why not.
struct dialed {
    connection_handle connection;  ///< non-blocking and idle; null on failure
    error_code code;               ///< a `sqlstate`, a `pool_errc` or the system's
    diagnostics said;              ///< `message` names the host and carries the server's or the network's own words
};

/// Opens connections on a helper thread of its own, so that names, TLS and SCRAM never stop the reactor. The thread
/// starts with the first dial. Any thread may call.
class dialer {
public:
    using on_dialed = std::function<void(dialed)>;

    dialer();
    /// Aborts what is under way, tells every `on_dialed`, and joins the thread.
    ~dialer();

    /// Dials the hosts in order, each address of a name in order, all under one deadline. `done` is called exactly
    /// once, on the dialer's thread.
    void dial(std::shared_ptr<const conninfo> where, std::chrono::milliseconds timeout, on_dialed done);

    /// Aborts the dials under way: each ends at once with `pool_errc::closed`.
    void abort();

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace trunkline::pg
