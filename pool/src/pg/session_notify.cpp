#include "session_link.hpp"
#include "statement.hpp"

#include <algorithm>
#include <new>
#include <utility>

// What other sessions notify this one of.

namespace trunkline::pg {

/// Keeps what has come until somebody asks for it, or gives it to who waits.
void session::link::take_notifications(news& told) {
    if (is_resetting()) {
        forget_notifications();
        return;
    }
    while (PGnotify* const got = PQnotifies(connection_.get())) {
        const std::unique_ptr<PGnotify, decltype(&PQfreemem)> owned{got, &PQfreemem};
        if (notifications_missed_ || notifications_.size() >= most_notifications) {
            notifications_missed_ = true;  // until those in front of the gap have been taken
            continue;
        }
        try {
            notifications_.push_back({got->relname, got->extra, got->be_pid});
        } catch (const std::bad_alloc&) {
            notifications_missed_ = true;
        }
    }
    if (hearer_ != nullptr && give_notification(*hearer_)) {
        end_hearing(hearer_->code, told);
    }
}

bool session::link::give_notification(hearing& to) noexcept {
    if (!notifications_.empty()) {
        to.heard = std::move(notifications_.front());
        notifications_.pop_front();
        return true;
    }
    if (std::exchange(notifications_missed_, false)) {
        to.code = pool_errc::notifications_missed;
        return true;
    }
    return false;
}

bool session::link::take_notification(hearing& what) noexcept {
    if (forked_since(born_)) {
        return false;
    }
    const std::lock_guard lock{mutex_};
    return give_notification(what);
}

void session::link::hear(hearing& what) noexcept {
    what.code = {};
    news told;
    if (forked_since(born_)) {
        what.code = lost_code_;
        told.add(&what);
    } else {
        const std::lock_guard lock{mutex_};
        if (hearer_ != nullptr) {
            what.code = pool_errc::operation_in_progress;
            told.add(&what);
        } else if (state() == session_state::broken || mender_ != nullptr) {
            what.code = mender_ != nullptr ? error_code{pool_errc::lease_released} : lost_code_;
            told.add(&what);
        } else {
            hearer_ = &what;
            is_heard_.store(true, std::memory_order_relaxed);
            attempt(told, [&] {
                take_notifications(told);  // what libpq has read beside something else
                if (hearer_ == &what && what.timeout.count() > 0) {
                    hearing_deadline_ = clock::now() + std::min(what.timeout, longest_server_timeout);
                    arm();
                }
            });
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

/// Who waits for a notification is told that one has come, or why none does.
void session::link::end_hearing(error_code why, news& told) noexcept {
    if (operation* const ended = std::exchange(hearer_, nullptr)) {
        hearing_deadline_ = never;
        is_heard_.store(false, std::memory_order_relaxed);
        ended->code = why;
        told.add(ended);
    }
}

void session::link::forget_notifications() noexcept {
    while (PGnotify* const unwanted = connection_ ? PQnotifies(connection_.get()) : nullptr) {
        PQfreemem(unwanted);
    }
    notifications_.clear();
    notifications_missed_ = false;
}

}  // namespace trunkline::pg
