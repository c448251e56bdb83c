#pragma once

#include <trunkline/settings.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace trunkline::pg {

/// What the sessions of one pool go by, live, and what they count. The pool shares one with all its sessions and changes
/// it while they run; each value is read when it is needed, so a change holds from the next statement, cancellation or
/// return on. Times are milliseconds.
struct session_policy {
    using milliseconds = std::chrono::milliseconds::rep;
    using count = std::atomic<std::uint64_t>;

    std::atomic<milliseconds> query_timeout{query_settings{}.timeout.count()};
    std::atomic<bool> server_timeout{query_settings{}.server_timeout};
    std::atomic<milliseconds> cancel_timeout{query_settings{}.cancel_timeout.count()};
    std::atomic<milliseconds> rollback_timeout{lifetime_settings{}.rollback_timeout.count()};
    std::atomic<reset_mode> reset{reset_settings{}.mode};
    std::atomic<std::size_t> drain_bytes{reset_settings{}.drain_bytes};
    std::atomic<milliseconds> drain_time{reset_settings{}.drain_time.count()};

    /// Takes over what `settings` say. Any thread.
    void follow(const pool_settings& settings) noexcept {
        query_timeout.store(settings.query.timeout.count(), std::memory_order_relaxed);
        server_timeout.store(settings.query.server_timeout, std::memory_order_relaxed);
        cancel_timeout.store(settings.query.cancel_timeout.count(), std::memory_order_relaxed);
        rollback_timeout.store(settings.lifetime.rollback_timeout.count(), std::memory_order_relaxed);
        reset.store(settings.reset.mode, std::memory_order_relaxed);
        drain_bytes.store(settings.reset.drain_bytes, std::memory_order_relaxed);
        drain_time.store(settings.reset.drain_time.count(), std::memory_order_relaxed);
    }

    count statements{0};        ///< started; each session adds its own in lots of 64, so it lags a little behind
    count timeouts{0};          ///< statements whose time was over, whoever noticed it first
    count cancels{0};           ///< requests to stop a statement that were sent, repeated ones too
    count cancels_begun{0};     ///< requests of which it is not yet known whether they can be sent
    count cancels_proven{0};    ///< sessions that were proven quiet after one, and used again
    count cancels_unproven{0};  ///< sessions that were closed because that proof did not come in time
    count cancels_refused{0};   ///< requests that were not sent: one too many, or no memory; their sessions are closed
    count resets{0};            ///< sent
    count resets_failed{0};     ///< sessions that were closed because the server refused the reset
    count rollbacks{0};         ///< of transactions that a lease ended in
    count rollbacks_failed{0};  ///< sessions that were closed because the rollback failed or took too long
    count drains{0};            ///< COPYs that were read, or ended, to go on with their session
    count drains_given_up{
        0};  ///< sessions that were closed because more than the limits was left of a COPY or a result
};

}  // namespace trunkline::pg
