#include "session_link.hpp"

#include "canceller.hpp"
#include "statement.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

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

void complete(operation* what) {
    if (what != nullptr) {
        what->complete(*what);
    }
}

bool says_read_only(PGconn* connection) noexcept {
    for (const char* const name : {"in_hot_standby", "default_transaction_read_only"}) {
        const char* const value = PQparameterStatus(connection, name);
        if (value != nullptr && std::string_view{value} == "on") {
            return true;
        }
    }
    return false;
}

}  // namespace

/// News that wait in the executor's queue. If the queue is destroyed first, the operation is dropped.
struct session::link::posted_news {
    posted_news(std::shared_ptr<link> teller, news what) : from{std::move(teller)}, told{std::move(what)} {}
    posted_news(posted_news&& other) noexcept : from{std::move(other.from)}, told{std::move(other.told)} {
        other.told.done = {};
    }
    posted_news& operator=(posted_news&&) = delete;
    ~posted_news() {
        for (operation* const one : told.done) {
            if (one != nullptr && one->is_transfer) {
                from->forsake(static_cast<transfer&>(*one));
            }
        }
        std::ranges::for_each(told.done, drop);
    }
    void operator()() {
        news now = std::move(told);
        told.done = {};
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
      policy_{to_.policy ? to_.policy : std::make_shared<session_policy>()},
      backend_pid_{PQbackendPID(connection.get())},
      opened_read_only_{says_read_only(connection.get())},
      connection_{std::move(connection)},
      socket_{socket::open(executor_, PQsocket(connection_.get()))} {
    PQsetNoticeReceiver(connection_.get(), &link::on_notice, this);
    if (is_poolers(backend_pid_) && !policy_->behind_pooler.exchange(true)) {
        log_pooler();
    }
}

session::link::~link() {
    if (forked_since(born_)) {  // the reactor is the parent's too
        (void)timer_.release();
        (void)close_timer_.release();
    }
}

void session::link::watch() {
    const std::lock_guard lock{mutex_};
    read_on(shared_from_this());
}

void session::link::start(operation& what) noexcept {
    what.code = {};
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (what.is_transfer) {
            static_cast<transfer&>(what).awaited_ = true;
            static_cast<transfer&>(what).on_ = shared_from_this();
        }
        try {
            admit(what, told);
        } catch (const std::exception&) {
            refuse_for_memory(what, told);
        }
        if (what.is_transfer && current_ != &what && parked_ != &what) {
            static_cast<transfer&>(what).over_ = true;
        }
    }
    // `what` may be gone by now, unless there is news.
    if (told.any()) {
        tell_later(std::move(told));
    }
}

void session::link::cancel(operation& what) noexcept {
    if (forked_since(born_)) {
        return;  // it is the parent's
    }
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (hearer_ == &what) {
            end_hearing(boost::asio::error::operation_aborted, told);
        } else if (current_ == &what || parked_ == &what) {
            attempt(told, [&] { give_up(boost::asio::error::operation_aborted, told); });
        } else {
            return;
        }
    }
    tell_later(std::move(told));
}

left session::link::end_use() noexcept {
    const auto now = state();
    if (now == session_state::broken || is_read_only()) {
        return left::broken;
    }
    if (now != session_state::clean || is_heard()) {
        return left::unclean;
    }
    if (!reset_is_due(policy_->reset.load(std::memory_order_relaxed), footprint_.load(std::memory_order_relaxed))) {
        return left::ready;
    }
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (state() != session_state::clean) {
            return left::broken;
        }
        if (send_reset()) {
            flush(told);
        } else {
            lose(told);
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
        return left::broken;
    }
    return left::ready;
}

void session::link::mend(operation& what) noexcept {
    what.code = {};
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (state() != session_state::broken && (current_ != nullptr || parked_ != nullptr)) {
            attempt(told, [&] { give_up(pool_errc::lease_released, told); });
            unrest_.reads_freely = false;
            drained_ = 0;
        }
        end_hearing(pool_errc::lease_released, told);
        forget_notifications();
        if (state() == session_state::broken || forked_since(born_)) {
            what.code = lost_code_;
            told.add(&what);
        } else {
            mender_ = &what;
            unrest_.mending = true;
            state_.store(session_state::busy, std::memory_order_release);
            attempt(told, [&] { go_on(told); });
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

void session::link::close(error_code reason, std::function<void()> closed) noexcept {
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (closing_) {
            return;
        }
        closing_ = true;
        closed_ = std::move(closed);
        if (connection_) {  // else it was lost, and that is told
            if (current_ != nullptr || unrest_.statement_open || state() == session_state::broken) {
                stop_last_statement();
            }
            timer_.reset();
            lost_code_ = reason;
            say(lost_said_, "the connection was closed by its pool");
        }
        if (operation* const ended = take_operation()) {
            fail(*ended, reason, {});
            finish(ended, told);
        }
        if (operation* const mender = std::exchange(mender_, nullptr)) {
            fail(*mender, reason, {});
            told.add(mender);
        }
        end_hearing(reason, told);
        state_.store(session_state::broken, std::memory_order_release);
        connection_.reset();
        if (!socket_->is_open() || forked_since(born_)) {
            end(told);
        } else {
            // The server closes its end after the session has left pg_stat_activity, so that our count of its sessions
            // is never too low.
            socket_->finish_writing();
            read_on(shared_from_this());
            try {
                limit_goodbye();
            } catch (const std::bad_alloc&) {
                end(told);
            }
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

void session::link::limit_goodbye() {
    close_timer_ = std::make_unique<boost::asio::steady_timer>(executor_, longest_goodbye);
    close_timer_->async_wait([self = shared_from_this()](const boost::system::error_code&) {
        news late;
        {
            const std::lock_guard lock{self->mutex_};
            self->end(late);
        }
        self->tell(late);
    });
}

void session::link::say(diagnostics& into, std::string_view words) noexcept {
    try {
        into.message = words;
    } catch (const std::bad_alloc&) {
        // Then without words.
    }
}

void session::link::hang_up() noexcept {
    if (forked_since(born_)) {
        return;  // whoever held the lock is not in this process; the destructor does the rest
    }
    std::array<operation*, 3> dropped{};
    {
        const std::lock_guard lock{mutex_};
        dropped = {take_to_drop(), std::exchange(mender_, nullptr), std::exchange(hearer_, nullptr)};
        state_.store(session_state::broken, std::memory_order_release);
        if (closing_) {
            return;  // the goodbye goes on by itself
        }
        closing_ = true;
        timer_.reset();
        last_target_.reset();
        connection_.reset();
        socket_->close();
    }
    std::ranges::for_each(dropped, drop);
}

void session::link::on_abandoned() noexcept {
    std::array<operation*, 3> dropped{};
    std::function<void()> never_called;
    {
        const std::lock_guard lock{mutex_};
        abandoned_ = true;
        dropped = {take_to_drop(), std::exchange(mender_, nullptr), std::exchange(hearer_, nullptr)};
        state_.store(session_state::broken, std::memory_order_release);
        never_called = std::move(closed_);
        timer_.reset();
        last_target_.reset();
        close_timer_.reset();
        connection_.reset();
        socket_->close();
    }
    std::ranges::for_each(dropped, drop);
}

operation* session::link::take_operation() noexcept {
    deadline_ = server_deadline_ = never;
    server_time_ = {};
    auto* const parked = std::exchange(parked_, nullptr);
    auto* const running = std::exchange(current_, nullptr);
    auto* const taken = running != nullptr ? running : parked;
    if (taken != nullptr && taken->is_transfer) {
        static_cast<transfer*>(taken)->over_ = true;
        static_cast<transfer*>(taken)->times_ = times_;
        if (!abandoned_ && !forked_since(born_)) {
            read_on(shared_from_this());  // it may have been paused
        }
    }
    return taken;
}

/// When it will never be told. A transfer says why, should somebody ask.
operation* session::link::take_to_drop() noexcept {
    auto* const taken = take_operation();
    if (taken != nullptr && taken->is_transfer) {
        taken->code = lost_code_;
    }
    return taken != nullptr && take_awaited(*taken) ? taken : nullptr;
}

void session::link::tell(news& told) {
    for (const auto& notice : told.notices) {
        log_notice(notice);
    }
    if (told.finished != nullptr) {
        report(*told.finished, told.times);
    }
    if (told.lost && to_.lost) {           // before whoever has the session hears of it and gives it back
        to_.lost(lost_code_, lost_said_);  // no longer change once lost
    }
    std::ranges::for_each(told.done, complete);
    if (told.closed) {
        told.closed();
    }
}

void session::link::tell_later(news told) noexcept {
    if (abandoned_) {  // there is no queue any more; an operation ends here, everything else is of no interest
        std::ranges::for_each(told.done, complete);
        return;
    }
    posted_news letter{shared_from_this(), std::move(told)};
    try {
        if (context_ != nullptr) {
            boost::asio::post(
                context_->get_executor(),
                boost::asio::bind_allocator(letter_room::allocator<std::byte>{letter_}, std::move(letter)));
        } else {
            boost::asio::post(executor_, std::move(letter));
        }
    } catch (const std::bad_alloc&) {
        // The letter is gone, and its operations with it: dropped.
    }
}

std::optional<std::chrono::steady_clock::time_point> session::link::take_first_use() noexcept {
    if (first_use_.load(std::memory_order_relaxed) == unused) {
        return std::nullopt;
    }
    const auto first = first_use_.exchange(unused, std::memory_order_relaxed);
    return std::chrono::steady_clock::time_point{std::chrono::steady_clock::duration{first}};
}

void session::link::note_read_only() noexcept {
    if (!opened_read_only_ && says_read_only(connection_.get())) {
        read_only_.store(true, std::memory_order_relaxed);
    }
}

std::string session::link::server_parameter(const char* name) const {
    const std::lock_guard lock{mutex_};
    const char* const value = connection_ ? PQparameterStatus(connection_.get(), name) : nullptr;
    return value != nullptr ? std::string{value} : std::string{};
}

}  // namespace trunkline::pg
