#include "session_link.hpp"

#include "canceller.hpp"
#include "statement.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cassert>

namespace trunkline::pg {

namespace {

/// Longest time for the server to end a session after our goodbye: it does so in a millisecond, unless it is gone.
constexpr std::chrono::seconds longest_goodbye{1};

boost::asio::io_context* context_of(const boost::asio::any_io_executor& executor) {
    const auto* const one = executor.target<boost::asio::io_context::executor_type>();
    return one == nullptr ? nullptr : &one->context();
}

void drop(operation* what) noexcept {
    if (what != nullptr && what->drop != nullptr) {
        what->drop(*what);
    }
}

log_level level_of(const diagnostics& notice) noexcept {
    if (notice.severity == "NOTICE" || notice.severity == "INFO" || notice.severity == "LOG") {
        return log_level::info;
    }
    return notice.severity == "DEBUG" ? log_level::debug : log_level::warning;
}

}  // namespace

/// News that wait in the executor's queue. If the queue is destroyed first, the operation is dropped.
struct session::link::posted_news {
    posted_news(std::shared_ptr<link> teller, news what) : from{std::move(teller)}, told{std::move(what)} {}
    posted_news(posted_news&& other) noexcept : from{std::move(other.from)}, told{std::move(other.told)} {
        other.told.done = nullptr;
    }
    posted_news& operator=(posted_news&&) = delete;
    ~posted_news() { drop(told.done); }
    void operator()() {
        news now = std::move(told);
        told.done = nullptr;
        from->tell(now);
    }
    std::shared_ptr<link> from;
    news told;
};

session::link::link(boost::asio::any_io_executor executor, connection_handle connection, session::events to)
    : executor_{std::move(executor)},
      context_{context_of(executor_)},
      threads_{context_ == nullptr ? nullptr : &boost::asio::use_service<detail::context_threads>(*context_)},
      to_{std::move(to)},
      backend_pid_{PQbackendPID(connection.get())},
      connection_{std::move(connection)},
      socket_{socket::open(executor_, PQsocket(connection_.get()))} {
    PQsetNoticeReceiver(connection_.get(), &link::on_notice, this);
}

session::link::~link() = default;

void session::link::watch() {
    const std::lock_guard lock{mutex_};
    socket_->wait(direction::read, shared_from_this());
}

void session::link::start(operation& what) {
    what.code = {};
    news told;
    if (const auto refused = check_statement(what, what.said)) {
        what.code = refused;
        told.done = &what;
        tell_later(std::move(told));
        return;
    }
    {
        const std::lock_guard lock{mutex_};
        if (current_ != nullptr || state() == session_state::broken) {
            if (current_ != nullptr) {
                fail(what, pool_errc::operation_in_progress, {});
            } else {
                fail(what, lost_code_, lost_said_);
            }
            told.done = &what;
        } else {
            if (first_use_.load(std::memory_order_relaxed) == unused) {
                first_use_.store(std::chrono::steady_clock::now().time_since_epoch().count(),
                                 std::memory_order_relaxed);
            }
            current_ = &what;
            state_.store(session_state::busy, std::memory_order_release);
            if (send_statement(connection_.get(), what)) {
                flush(told);
            } else {
                lose(told);
            }
        }
    }
    // `what` may be gone by now, unless there is news.
    if (told.done != nullptr) {
        tell_later(std::move(told));
    }
}

void session::link::cancel(operation& what) {
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (current_ != &what) {
            return;
        }
        give_up(boost::asio::error::operation_aborted, told);
    }
    tell_later(std::move(told));
}

void session::link::close(error_code reason, std::function<void()> closed) {
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (closing_) {
            return;
        }
        closing_ = true;
        closed_ = std::move(closed);
        if (current_ != nullptr) {
            give_up(reason, told);
        }
        state_.store(session_state::broken, std::memory_order_release);
        if (connection_) {  // else it was lost, and that is told
            lost_code_ = reason;
            lost_said_.message = "the connection was closed by its pool";
        }
        connection_.reset();
        if (!socket_->is_open()) {
            end(told);
        } else {
            // The server closes its end after the session has left pg_stat_activity, so that our count of its sessions
            // is never too low.
            socket_->finish_writing();
            close_timer_.emplace(executor_, longest_goodbye);
            close_timer_->async_wait([self = shared_from_this()](const boost::system::error_code&) {
                news late;
                {
                    const std::lock_guard timer_lock{self->mutex_};
                    self->end(late);
                }
                self->tell(late);
            });
        }
    }
    if (told.done != nullptr || told.closed) {
        tell_later(std::move(told));
    }
}

void session::link::hang_up() noexcept {
    operation* dropped = nullptr;
    {
        const std::lock_guard lock{mutex_};
        dropped = std::exchange(current_, nullptr);
        state_.store(session_state::broken, std::memory_order_release);
        if (closing_) {
            return;  // the goodbye goes on by itself
        }
        closing_ = true;
        connection_.reset();
        socket_->close();
    }
    drop(dropped);
}

void session::link::on_abandoned() noexcept {
    operation* dropped = nullptr;
    std::function<void()> never_called;
    {
        const std::lock_guard lock{mutex_};
        abandoned_ = true;
        dropped = std::exchange(current_, nullptr);
        state_.store(session_state::broken, std::memory_order_release);
        never_called = std::move(closed_);
        close_timer_.reset();
        connection_.reset();
        socket_->close();
    }
    drop(dropped);
}

void session::link::give_up(error_code code, news& told) {
    told.done = std::exchange(current_, nullptr);
    fail(*told.done, code, {});
    state_.store(session_state::broken, std::memory_order_release);
    request_cancel(connection_.get());
    lost_said_.message = "a statement on this connection was given up before";
}

void session::link::tell(news& told) {
    for (const auto& notice : told.notices) {
        log_notice(notice);
    }
    if (told.done != nullptr) {
        told.done->complete(*told.done);
    }
    if (told.lost && to_.lost) {
        to_.lost(lost_code_, lost_said_);  // no longer change once lost
    }
    if (told.closed) {
        told.closed();
    }
}

void session::link::tell_later(news told) {
    if (abandoned_) {  // there is no queue any more; an operation ends here, everything else is of no interest
        if (told.done != nullptr) {
            told.done->complete(*told.done);
        }
        return;
    }
    boost::asio::post(executor_, posted_news{shared_from_this(), std::move(told)});
}

void session::link::log_notice(const diagnostics& notice) const noexcept {
    if (!to_.log) {
        return;
    }
    try {
        std::string message = "the server says: " + notice.severity + ": " + notice.message;
        if (!notice.detail.empty()) {
            message += " (" + notice.detail + ")";
        }
        to_.log({level_of(notice), to_.pool, message});
    } catch (...) {
        // A log that fails must not end a session.
    }
}

std::optional<std::chrono::steady_clock::time_point> session::link::take_first_use() noexcept {
    if (first_use_.load(std::memory_order_relaxed) == unused) {
        return std::nullopt;
    }
    const auto first = first_use_.exchange(unused, std::memory_order_relaxed);
    return std::chrono::steady_clock::time_point{std::chrono::steady_clock::duration{first}};
}

std::string session::link::server_parameter(const char* name) const {
    const std::lock_guard lock{mutex_};
    const char* const value = connection_ ? PQparameterStatus(connection_.get(), name) : nullptr;
    return value != nullptr ? std::string{value} : std::string{};
}

}  // namespace trunkline::pg
