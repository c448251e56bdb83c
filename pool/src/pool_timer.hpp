#pragma once

#include "core/time.hpp"
#include "resumption/handler_room.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
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

    /// Calls `expired` at `when` at the latest, without an error, and with one when it is armed for an earlier time.
    /// `expired` must hold whatever it touches. Without memory nothing is armed, and an `expired` with an error, soon,
    /// finds that and arms again.
    template <typename Expired>
    void arm(core::time_point when, const Expired& expired) noexcept {
        const std::lock_guard lock{mutex_};
        if (stopped_ || !wakes_later_than(when)) {
            return;
        }
        armed_for_.store(unarmed, std::memory_order_release);  // before the earlier wait ends, whose `expired` looks
        when = std::min(when, owed_);
        const auto fire = [expired, room = room_](boost::system::error_code ended = boost::asio::error::try_again) {
            expired(ended);
        };
        // Taken only by an earlier wait, which ends now and so is the one that finds nothing armed.
        const node_room::allocator<std::byte> memory{*room_};
        try {
            timer_->expires_at(when);
            timer_->async_wait(boost::asio::bind_allocator(memory, fire));
            armed_for_.store(when.time_since_epoch().count(), std::memory_order_release);
            owed_ = core::never;
        } catch (const std::bad_alloc&) {
            owed_ = when;
            post(boost::asio::bind_allocator(memory, fire));
        }
    }
    [[nodiscard]] bool is_armed() const noexcept { return armed_for_.load(std::memory_order_acquire) != unarmed; }

    /// First thing in `expired` without an error: from now on `arm` arms again. Behind the `arm` whose wait this is, which
    /// may still be under way on another thread: else it would leave behind, as armed, a time that has passed.
    void rearm() noexcept {
        const std::lock_guard lock{mutex_};
        armed_for_.store(unarmed, std::memory_order_release);
    }

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
    using node_room = handler_room<256>;  // the reactor's record of a wait
    static constexpr auto unarmed = core::never.time_since_epoch().count();

    template <typename Handler>
    void post(Handler handler) noexcept {
        const auto executor = timer_->get_executor();
        try {
            if (const auto* const known = executor.target<boost::asio::io_context::executor_type>()) {
                boost::asio::post(*known, std::move(handler));
            } else {
                boost::asio::post(executor, std::move(handler));
            }
        } catch (const std::bad_alloc&) {
            // The wait that ends does it, or else the next event.
        }
    }

    const std::shared_ptr<node_room> room_ = std::make_shared<node_room>();  // a wait may outlive this

    std::mutex mutex_;
    std::optional<boost::asio::steady_timer> timer_;
    std::atomic<core::time_point::rep> armed_for_{unarmed};
    core::time_point owed_ = core::never;  // for which there was no memory
    bool stopped_ = false;
};

}  // namespace trunkline::detail
