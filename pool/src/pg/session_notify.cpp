#include "session_link.hpp"
#include "statement.hpp"

#include <algorithm>
#include <new>
#include <utility>

// What other sessions notify this one of.

namespace trunkline::pg {

/// Keeps what has come until somebody asks for it.
void session::link::take_notifications(news& told) {
    if (is_resetting()) {
        forget_notifications();
        return;
    }
    while (PGnotify* const got = PQnotifies(connection_.get())) {
        const std::unique_ptr<PGnotify, decltype(&PQfreemem)> owned{got, &PQfreemem};
        if (notifications_.size() >= most_notifications) {
            notifications_missed_ = true;
            continue;
        }
        try {
            notifications_.push_back({got->relname, got->extra, got->be_pid});
        } catch (const std::bad_alloc&) {
            notifications_missed_ = true;
        }
    }
    if (has_notification()) {
        end_hearing({}, told);
    }
}

bool session::link::take_notification(notification& into, error_code& missed) noexcept {
    const std::lock_guard lock{mutex_};
    if (notifications_missed_ && notifications_.empty()) {  // in their place: behind those that were kept
        notifications_missed_ = false;
        missed = pool_errc::notifications_missed;
        return true;
    }
    if (notifications_.empty()) {
        return false;
    }
    into = std::move(notifications_.front());
    notifications_.pop_front();
    return true;
}

void session::link::hear(operation& what) noexcept {
    what.code = {};
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (has_notification()) {
            told.add(&what);
        } else if (hearer_ != nullptr) {
            what.code = pool_errc::operation_in_progress;
            told.add(&what);
        } else if (state() == session_state::broken || mender_ != nullptr || forked_since(born_)) {
            what.code = mender_ != nullptr ? error_code{pool_errc::lease_released} : lost_code_;
            told.add(&what);
        } else {
            hearer_ = &what;
            is_heard_.store(true, std::memory_order_relaxed);
            attempt(told, [&] {
                if (what.timeout.count() > 0) {
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
