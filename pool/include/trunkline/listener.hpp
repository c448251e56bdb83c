#pragma once

#include <trunkline/lease.hpp>
#include <trunkline/notification.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace trunkline {

class pool;

namespace detail {
class pool_impl;
}

/// What a listener listens on.
enum class listener_connection {
    own,  ///< one that leaves the pool and its count: the pool may open another in its place
    lease  ///< one of the pool's, for as long as the listener lives: `lease.timeout` and `lease.leak_threshold` concern it
};

/// Trivially destructible, so that it may stand inside a `co_await` expression.
struct listener_options {
    listener_connection on = listener_connection::own;
    /// When nothing has come for so long, the server is asked for a sign of life, for as long again at most. 0: never; then a
    /// connection that a dead network or a proxy keeps open is noticed by TCP alone, or not at all.
    std::chrono::milliseconds check_every{30'000};
    /// Before a connection is acquired again, the first time, if the last one has not lived for 32 times that; doubled with
    /// each attempt that fails, up to 32 times that. More than 0.
    std::chrono::milliseconds pause{100};
};
static_assert(std::is_trivially_destructible_v<listener_options>);

/// What a listener has to tell.
struct listener_event {
    /// It had lost its connection and has subscribed again, or more had come than it keeps: something was missed, maybe, so look
    /// at what the notifications are about. `what` is empty then.
    bool may_have_missed = false;
    notification what;
};

/// Hears what is `NOTIFY`ed on some channels, for as long as it lives, through every reconnect. It keeps up to 1,024
/// notifications that nobody has asked for. Its own statements (LISTEN, a sign of life) are reported to
/// `pool_hooks::on_statement` like the program's. Move-only; any thread may use it, one call at a time: to subscribe to more
/// while `next()` waits, cancel that first. It must not be destroyed or moved while a call is awaited. The pool need not live
/// as long.
class listener {
public:
    /// Opens nothing yet. Throws `error` (`invalid_value`) for times below 0.
    explicit listener(pool& from, listener_options options = {});
    listener(listener&&) noexcept;
    listener& operator=(listener&&) noexcept;
    ~listener();

    /// Subscribes to a channel, whose name is taken as it is (`LISTEN "Name"`); completes when the server has confirmed it.
    /// The first one acquires the connection. Throws `acquire_error`, or `error` as a statement; `invalid_value` for a name that
    /// is empty or longer than PostgreSQL's 63 bytes. Then it is not subscribed to; where that was not certain (the connection
    /// was lost, or the call cancelled) the connection is given up, and `next()` subscribes to the others again.
    boost::asio::awaitable<void> listen(std::string channel);
    /// Ends the subscription. Nothing happens if there is none. What was sent before may still come.
    boost::asio::awaitable<void> unlisten(std::string channel);

    /// The next event, in the order in which the server sent them. When the connection is lost it acquires another, as often as
    /// it takes, subscribes to all channels and says `may_have_missed`. Throws `error`: `closed` when the pool is closed and
    /// the connection gone, or after `close()`; `operation_aborted` when cancelled, and nothing is lost then.
    boost::asio::awaitable<listener_event> next();

    /// Closes the connection. Everything fails with `pool_errc::closed` from now on, a `next()` that waits too.
    void close() noexcept;

    /// Channels, in the order of their subscription.
    [[nodiscard]] const std::vector<std::string>& channels() const noexcept { return channels_; }
    /// The server's process for its session; 0 if it has none just now.
    [[nodiscard]] int backend_pid() const noexcept;

private:
    boost::asio::awaitable<void> connect();
    boost::asio::awaitable<void> connect_again();
    boost::asio::awaitable<void> tell_server(std::string sql);
    boost::asio::awaitable<bool> is_alive();
    [[nodiscard]] connection& on() const noexcept;
    [[nodiscard]] bool is_connected() const noexcept { return static_cast<bool>(lease_) || static_cast<bool>(own_); }
    void drop() noexcept;

    std::weak_ptr<detail::pool_impl> from_;  // gone: the pool is, or this was closed or moved from
    listener_options options_;
    std::vector<std::string> channels_;
    bool missed_ = false;  // to be told
    std::chrono::steady_clock::time_point connected_at_{};
    lease lease_;
    detached_connection own_;
};

}  // namespace trunkline
