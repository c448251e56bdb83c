#pragma once

#include "support/postgres_server.hpp"
#include "support/proxy_session.hpp"
#include "support/tcp_port.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace trunkline::test {

/// Which sessions a change concerns.
enum class sessions_of_proxy {
    all,   ///< those that are open, and those that come
    open,  ///< those that are open now
    next,  ///< the next one that comes and that no such call has taken yet: calls queue up
    come,  ///< every one that comes from now on
};

/// What a client meets that connects.
enum class proxy_door {
    open,     ///< a session
    refused,  ///< nobody listens: ECONNREFUSED
    closed,   ///< accepted, and closed at once
    reset,    ///< accepted, and reset at once
};

/// What a proxy has seen since it was made.
struct proxy_counts : session_counts {
    std::size_t accepted = 0;   ///< connections, those included that met a closed door
    std::size_t open = 0;       ///< sessions that have not ended on both sides
    std::size_t most_open = 0;  ///< the most at one time
    /// The most sessions at one time whose server had not yet said that it is ready (`ReadyForQuery`). Without TLS only:
    /// the proxy reads along. A request to cancel, which is never answered, is one too while it is open.
    std::size_t most_handshakes = 0;
};

/// A TCP proxy before a server on 127.0.0.1, which does to the bytes what networks do. It runs in a thread of its own,
/// which sleeps while nothing is due. It cannot hide the kernel's acknowledgements: for that there is `black_hole`.
///
/// Threads: members may be called from any thread; a change is in force when the call returns: after
/// `set({.to_client = {.stopped = true}})` not one byte more reaches a client.
/// Errors: `std::system_error` from the constructor and from a door that opens again.
class fault_proxy {
public:
    /// Listens on a free port of 127.0.0.1 for that port of 127.0.0.1.
    explicit fault_proxy(std::uint16_t target) : fault_proxy{tcp_port{"127.0.0.1"}, target} {}
    explicit fault_proxy(const postgres_server& server) : fault_proxy{server.port()} {}
    fault_proxy(tcp_port listener, std::uint16_t target);
    fault_proxy(const fault_proxy&) = delete;
    fault_proxy& operator=(const fault_proxy&) = delete;
    /// Resets what is open.
    ~fault_proxy();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// The server's database through the proxy; `query` is put behind it: `sslmode=disable`.
    [[nodiscard]] std::string url(const postgres_server& server, std::string_view query = "sslmode=disable") const;

    /// Takes these faults instead of the former ones.
    void set(const line_faults& faults, sessions_of_proxy which = sessions_of_proxy::all);
    /// No fault any more, and an open door. What was held back goes on its way.
    void heal();
    void set_door(proxy_door door);

    /// Ends the sessions that are open, now: what was on its way is lost.
    void end_all(proxy_end how);
    /// Tells one side of each open session that the other has said its last word; the other may go on speaking
    /// without being heard.
    void half_close(proxy_direction direction);

    [[nodiscard]] proxy_counts counts() const;
    /// When each connection came, those included that met a closed door.
    [[nodiscard]] std::vector<proxy_flow::clock::time_point> accepts() const;

private:
    void call(const std::function<void()>& task) const;
    void wake() const noexcept;
    void serve();
    bool run_tasks();
    void accept_all();
    void apply_door(proxy_door door);
    void pump();
    void forget_ended();
    void wait_for_something();

    // Shared: what other threads ask of the proxy's own.
    mutable std::mutex mutex_;
    mutable std::vector<std::function<void()>> tasks_;
    bool stopping_ = false;

    // The proxy's own thread's.
    tcp_port listener_;
    proxy_door door_ = proxy_door::open;
    line_faults faults_;
    std::deque<line_faults> next_faults_;
    std::list<proxy_session> sessions_;
    std::vector<proxy_flow::clock::time_point> accepts_;
    proxy_counts ended_;  // counts, without those of the sessions that are open

    std::uint16_t port_;
    std::uint16_t target_;
    descriptor wake_;
    std::thread thread_;
};

}  // namespace trunkline::test
