#pragma once

#include "core/time.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace trunkline::detail {

/// The pool's one timer, for all its deadlines. It is armed for the earliest of them and is left alone when that one
/// moves away: a tick that comes too early costs less than a timer that is set anew for each waiter. Any thread.
class pool_timer {
public:
    explicit pool_timer(const boost::asio::any_io_executor& executor) : timer_{std::in_place, executor} {}

    /// Whether `arm(when)` has anything to do: without a lock.
    [[nodiscard]] bool wakes_later_than(core::time_point when) const noexcept {
        return when.time_since_epoch().count() < armed_for_.load(std::memory_order_acquire);
    }

    /// Calls `expired` at `when` at the latest. `expired` must hold whatever it touches.
    template <typename Expired>
    void arm(core::time_point when, Expired&& expired) {
        const std::lock_guard lock{mutex_};
        if (stopped_ || !wakes_later_than(when)) {
            return;
        }
        armed_for_.store(when.time_since_epoch().count(), std::memory_order_release);
        timer_->expires_at(when);
        timer_->async_wait([fire = std::forward<Expired>(expired)](boost::system::error_code error) mutable {
            if (error) {
                return;  // armed anew for an earlier time, or cancelled
            }
            fire();
        });
    }

    /// First thing in `expired`: from now on `arm` arms again.
    void rearm() noexcept { armed_for_.store(unarmed, std::memory_order_release); }

    /// For good: the executor has nothing to do for this timer any more.
    void stop() {
        const std::lock_guard lock{mutex_};
        stopped_ = true;
        if (timer_) {
            timer_->cancel();
        }
    }

    /// In the child of a fork the reactor is the parent's too.
    void leave_to_parent() noexcept {
        if (timer_) {
            [[maybe_unused]] const auto* left = new (std::nothrow) boost::asio::steady_timer{std::move(*timer_)};
        }
    }

    /// The execution context goes away before this object, maybe.
    void retire() {
        const std::lock_guard lock{mutex_};
        stopped_ = true;
        timer_.reset();
    }

private:
    static constexpr auto unarmed = core::never.time_since_epoch().count();

    std::mutex mutex_;
    std::optional<boost::asio::steady_timer> timer_;
    std::atomic<core::time_point::rep> armed_for_{unarmed};
    bool stopped_ = false;
};

}  // namespace trunkline::detail
