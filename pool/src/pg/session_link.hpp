#pragma once

#include "resumption/context_threads.hpp"
#include "session.hpp"
#include "socket.hpp"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <mutex>
#include <vector>

namespace trunkline::pg {

/// What a session is made of. One small lock guards it, because its executor may have many threads; nobody else's code
/// is called under it: what there is to tell is written down as `news` and told after the lock.
///
/// While the socket is open, one wait for reading is under way (or its handler runs), also when the session is broken
/// or closing. So an execution context that is destroyed always reaches `on_abandoned`, and nothing of Asio's is left
/// behind in an object that lives longer.
class session::link final : public socket_owner, public std::enable_shared_from_this<link> {
public:
    link(boost::asio::any_io_executor executor, connection_handle connection, session::events to);
    ~link();

    void watch();
    void start(operation& what);
    void cancel(operation& what);
    void close(error_code reason, std::function<void()> closed);
    /// The session is destroyed.
    void hang_up() noexcept;

    [[nodiscard]] session_state state() const noexcept { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> take_first_use() noexcept;
    [[nodiscard]] int backend_pid() const noexcept { return backend_pid_; }
    [[nodiscard]] std::string server_parameter(const char* name) const;

    void on_ready(direction which, std::shared_ptr<socket_owner> self) override;
    void on_abandoned() noexcept override;

private:
    struct news {
        operation* done = nullptr;  ///< has its outcome
        bool lost = false;
        std::vector<diagnostics> notices;
        std::function<void()> closed;
    };
    struct posted_news;

    static void on_notice(void* self, const PGresult* said) noexcept;

    // Under the lock.
    void on_readable(news& told);
    void on_writable(news& told);
    void receive(news& told);
    void settle_state() noexcept;
    void flush(news& told);
    void lose(news& told);
    void end(news& told);
    void give_up(error_code code, news& told);

    // Not under the lock.
    void tell(news& told);
    void tell_later(news told);
    void log_notice(const diagnostics& notice) const noexcept;

    static constexpr std::chrono::steady_clock::rep unused = 0;

    const boost::asio::any_io_executor executor_;
    boost::asio::io_context* const context_;  // of `executor_`, or null: it is of another kind
    detail::context_threads* const threads_;  // of that context
    const session::events to_;
    const int backend_pid_;
    std::atomic<session_state> state_{session_state::clean};
    std::atomic<std::chrono::steady_clock::rep> first_use_{unused};

    std::atomic<bool> abandoned_{false};  // the execution context is gone

    mutable std::mutex mutex_;  // guards what follows
    connection_handle connection_;
    const std::unique_ptr<socket> socket_;
    operation* current_ = nullptr;
    bool writing_ = false;  // a wait for writing is under way
    bool closing_ = false;
    std::function<void()> closed_;
    std::optional<boost::asio::steady_timer> close_timer_;
    std::vector<diagnostics> notices_;       // since the last `news`
    std::optional<diagnostics> last_words_;  // the server's FATAL, or what it should not have said while idle
    error_code lost_code_{pool_errc::connection_lost};  // what who comes too late is told
    diagnostics lost_said_;
};

}  // namespace trunkline::pg
