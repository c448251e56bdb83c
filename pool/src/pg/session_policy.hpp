#pragma once

#include "known_statements.hpp"
#include "prepared_statements.hpp"

#include <trunkline/settings.hpp>
#include <trunkline/statement_report.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace trunkline::pg {

/// Whether a session's process number is one that a pooler drew: 32 random bits. Linux gives numbers of 22 bits at most,
/// so that one of a thousand draws passes for a server's.
[[nodiscard]] constexpr bool is_poolers(int backend_pid) noexcept {
    constexpr int highest = 1 << 22;
    return backend_pid <= 0 || backend_pid > highest;
}

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
    std::atomic<std::size_t> prepare_after{prepare_settings{}.after_uses};  ///< 0: nothing is prepared
    std::atomic<std::size_t> prepare_most{prepare_settings{}.max_statements};
    std::atomic<std::size_t> prepare_early{prepare_settings{}.warm_statements};
    std::atomic<milliseconds> prepare_ttl{prepare_settings{}.ttl.count()};
    std::atomic<bool> behind_pooler{false};  ///< a session's process number was a pooler's: nothing is prepared

    /// Takes over what `settings` say. Any thread.
    void follow(const pool_settings& settings) noexcept {
        query_timeout.store(settings.query.timeout.count(), std::memory_order_relaxed);
        server_timeout.store(settings.query.server_timeout, std::memory_order_relaxed);
        cancel_timeout.store(settings.query.cancel_timeout.count(), std::memory_order_relaxed);
        rollback_timeout.store(settings.lifetime.rollback_timeout.count(), std::memory_order_relaxed);
        reset.store(settings.reset.mode, std::memory_order_relaxed);
        drain_bytes.store(settings.reset.drain_bytes, std::memory_order_relaxed);
        drain_time.store(settings.reset.drain_time.count(), std::memory_order_relaxed);
        const bool off = settings.prepare.mode == prepare_mode::off;
        prepare_after.store(off ? 0 : settings.prepare.after_uses, std::memory_order_relaxed);
        prepare_most.store(settings.prepare.max_statements, std::memory_order_relaxed);
        prepare_early.store(settings.prepare.warm_statements, std::memory_order_relaxed);
        prepare_ttl.store(settings.prepare.ttl.count(), std::memory_order_relaxed);
    }

    [[nodiscard]] prepare_limits preparing() const noexcept {
        const bool off = behind_pooler.load(std::memory_order_relaxed);
        return {.after_uses = off ? 0 : prepare_after.load(std::memory_order_relaxed),
                .max_statements = prepare_most.load(std::memory_order_relaxed),
                .ttl = std::chrono::milliseconds{prepare_ttl.load(std::memory_order_relaxed)}};
    }
    /// What a new session prepares before it is lent. Throws `std::bad_alloc`.
    [[nodiscard]] std::vector<std::shared_ptr<known_statement>> statements_to_warm() const {
        const auto by = preparing();
        const auto most = std::min(prepare_early.load(std::memory_order_relaxed), by.max_statements);
        // DISCARD ALL would drop them before they are used.
        const bool drops = reset.load(std::memory_order_relaxed) == reset_mode::discard_all;
        if (by.after_uses == 0 || most == 0 || drops) {
            return {};
        }
        return known.most_used(most, by.after_uses);
    }

    statement_hook on_statement;  ///< of the program's, if it has one; set before the first session and never changed
    known_statements known;

    count prepares{0};  ///< statements that were prepared, also in advance
    count prepares_repeated{
        0};  ///< that had to be prepared again, because the server had them no more or their tables changed
    count prepares_closed{0};   ///< to make room for others, or to be prepared again
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
