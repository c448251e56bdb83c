#include "session_link.hpp"
#include "statement.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

// How a session becomes quiet again: after a statement that was given up, and when a lease ends.

namespace trunkline::pg {

/// Ends the user's operation with `code`. If it has been sent, the session is busy until nothing of it can come any more.
void session::link::give_up(error_code code, news& told) {
    const bool sent = current_ != nullptr;
    if (sent) {
        give_up_plan(*current_);
        if (current_->pieces != nullptr) {
            give_up_batch() ? flush(told) : lose(told);
            if (!connection_) {
                return;
            }
            settle_batch(*current_->pieces);
        }
    }
    operation* const ended = take_operation();
    fail(*ended, code, {});
    finish(ended, told);
    if (!sent) {
        return;
    }
    unrest_ = {.statement_open = true, .wants_request = !ended->is_transfer};
    drained_ = 0;
    limit_mending(policy_->cancel_timeout.load(std::memory_order_relaxed));
    if (ended->is_transfer) {
        unrest_.wants_request = quit_transfer(static_cast<transfer&>(*ended), told);
    }
    if (connection_ && unrest_.statement_open) {
        go_on(told);
    }
}

/// Does what is to be done next, until that is to wait, or nothing.
void session::link::go_on(news& told) {
    if (expected_.empty()) {
        unrest_.in_transaction = PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
    }
    const auto ahead = expected_.size() - (unrest_.statement_open ? 1 : 0);
    switch (next_step(unrest_, ahead)) {
    case step::wait: return;
    case step::ask: ask_to_stop(told); return;
    case step::absorb: send_own("", unit::absorb, told); return;
    case step::roll_back:
        policy_->rollbacks.fetch_add(1, std::memory_order_relaxed);
        limit_mending(policy_->rollback_timeout.load(std::memory_order_relaxed));
        send_own("ROLLBACK", unit::rollback, told);
        return;
    case step::give_up:
        policy_->rollbacks_failed.fetch_add(1, std::memory_order_relaxed);
        condemn(told, "the ROLLBACK of a returned connection failed");
        return;
    case step::done: calm(told); return;
    }
}

/// Asks the server to stop what runs. False: too many requests wait to be sent, or no memory.
bool session::link::request_stop(std::shared_ptr<cancel_target> target) noexcept {
    const bool sent = request_cancel(std::move(target), weak_from_this());
    policy_->cancels.fetch_add(sent ? 1 : 0, std::memory_order_relaxed);
    return sent;
}

/// The same, for a session that is to go on; one that has its share of requests is closed instead.
void session::link::ask_to_stop(news& told) {
    unrest_.wants_request = false;
    // Those that other sessions are about to send take their share too; what is counted as sent was sent.
    const auto begun = policy_->cancels_begun.fetch_add(1, std::memory_order_acquire);
    const auto requests = policy_->cancels.load(std::memory_order_relaxed) + begun;
    policy_->statements.fetch_add(std::exchange(statements_, 0) % lot, std::memory_order_relaxed);
    const bool sent = may_ask_to_stop(requests, policy_->statements.load(std::memory_order_relaxed)) &&
                      request_stop(cancel_target_of(connection_.get()));
    policy_->cancels_begun.fetch_sub(1, std::memory_order_release);
    if (!sent) {
        policy_->cancels_refused.fetch_add(1, std::memory_order_relaxed);
        const char* const why = "too many statements were cancelled: this one's connection is closed instead";
        if (mender_ != nullptr || parked_ != nullptr) {
            condemn(told, why);
        } else {
            break_off(told, why);
        }
        return;
    }
    ++unrest_.asked;
    unrest_.request_open = true;
}

void session::link::on_request_ended(bool certain) noexcept {
    const std::lock_guard lock{mutex_};
    if (!certain && !last_target_) {
        return;  // a signal may still come: until the session's own time is over it runs nothing else
    }
    // Under the lock: while it is held the execution context cannot be destroyed, because its destructor comes to
    // `on_abandoned` first. Without a socket nothing waits for this any more.
    if (abandoned_ || !(connection_ || last_target_) || !socket_->is_open() || forked_since(born_)) {
        return;
    }
    try {
        boost::asio::post(executor_, [self = shared_from_this()] {
            news told;
            {
                const std::lock_guard own{self->mutex_};
                self->attempt(told, [&] { self->on_request_told(told); });
            }
            self->tell(told);
        });
    } catch (...) {
        // No memory: the session is closed when its time is over.
    }
}

void session::link::on_request_told(news& told) {
    unrest_.request_open = false;
    if (last_target_) {
        stop_again_later();
        return;
    }
    if (!connection_ || state() != session_state::busy || current_ != nullptr) {
        return;
    }
    if (unrest_.statement_open) {
        // A signal that comes before the statement runs, or between two of its messages (Parse, Bind, Execute), is
        // forgotten by the server: it is told again.
        ask_again_at_ =
            clock::now() + pause_before_request(unrest_.asked, std::chrono::milliseconds{policy_->cancel_timeout});
        arm();
    }
    go_on(told);
}

/// Nothing is owed any more.
void session::link::calm(news& told) {
    if (unrest_.asked > 0) {
        policy_->cancels_proven.fetch_add(1, std::memory_order_relaxed);
    }
    unrest_ = {};
    mending_deadline_ = ask_again_at_ = never;
    if (operation* const mender = std::exchange(mender_, nullptr)) {
        const auto mode = policy_->reset.load(std::memory_order_relaxed);
        if (reset_is_due(mode, footprint_.load(std::memory_order_relaxed))) {
            mender_ = mender;  // who fails if it cannot be sent
            if (!send_reset()) {
                lose(told);
                return;
            }
            flush(told);
            if (std::exchange(mender_, nullptr) == nullptr) {
                return;
            }
        }
        state_.store(session_state::clean, std::memory_order_release);
        told.add(mender);
    } else if (operation* const parked = std::exchange(parked_, nullptr)) {
        if (server_deadline_ != never) {
            const auto rest = std::chrono::ceil<std::chrono::milliseconds>(server_deadline_ - clock::now());
            server_time_ = std::max(rest, std::chrono::milliseconds{1});
        }
        send(*parked, told);
    } else {
        settle_state();
    }
}

void session::link::limit_mending(session_policy::milliseconds time) {
    mending_deadline_ = clock::now() + std::chrono::milliseconds{time};
    arm();
}

/// Sets the timer, unless it fires before that anyway: a session with one time-out after the other sets it once for
/// each of its periods, not for each statement.
void session::link::arm() {
    const auto next = std::min({deadline_, mending_deadline_, hearing_deadline_, ask_again_at_});
    if (next >= timer_at_ || closing_) {
        return;
    }
    if (!timer_) {
        timer_ = std::make_unique<boost::asio::steady_timer>(executor_);
    }
    timer_at_ = never;  // should what follows throw
    timer_->expires_at(next);
    timer_->async_wait([self = shared_from_this(), next](const error_code& stopped) {
        if (!stopped) {
            self->on_timer(next);
        }
    });
    timer_at_ = next;
}

void session::link::on_timer(clock::time_point at) {
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (timer_at_ != at) {  // set anew meanwhile
            return;
        }
        timer_at_ = never;
        attempt(told, [&] { on_due(clock::now(), told); });
    }
    tell(told);
}

/// Does what is due.
void session::link::on_due(clock::time_point now, news& told) {
    if (connection_ && mending_deadline_ <= now) {
        on_overdue(told);
    }
    if (connection_ && ask_again_at_ <= now) {
        ask_again_at_ = never;
        unrest_.wants_request = unrest_.statement_open && !unrest_.request_open;
        go_on(told);
    }
    if (connection_ && hearing_deadline_ <= now) {
        end_hearing(pool_errc::query_timeout, told);
    }
    if (connection_ && deadline_ <= now) {
        const operation* const late = current_ != nullptr ? current_ : parked_;
        policy_->timeouts.fetch_add(late != nullptr && late->is_pools ? 0 : 1, std::memory_order_relaxed);
        give_up(pool_errc::query_timeout, told);
    }
    if (connection_) {
        arm();
    }
}

/// What a session waits for in order to be quiet has not come in time.
void session::link::on_overdue(news& told) {
    if (copying_ && current_ != nullptr) {
        give_up_drain(told);
    } else if (!expected_.empty() && expected_.front() == unit::rollback) {
        policy_->rollbacks_failed.fetch_add(1, std::memory_order_relaxed);
        condemn(told, "the ROLLBACK of a returned connection took too long");
    } else {
        policy_->cancels_unproven.fetch_add(1, std::memory_order_relaxed);
        condemn(told, "a statement that was given up did not end in time");
    }
}

bool session::link::drained_too_much() const noexcept {
    return !unrest_.reads_freely && drained_ > policy_->drain_bytes.load(std::memory_order_relaxed);
}

void session::link::give_up_drain(news& told) {
    policy_->drains_given_up.fetch_add(1, std::memory_order_relaxed);
    if (current_ != nullptr) {
        break_off(told, "a COPY was too long to be read to its end");
    } else {
        condemn(told, "too much was left of a statement that was given up");
    }
}

}  // namespace trunkline::pg
