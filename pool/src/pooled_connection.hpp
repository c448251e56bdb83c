#pragma once

#include "core/slot.hpp"
#include "core/time.hpp"
#include "pg/fork_guard.hpp"
#include "pg/session.hpp"

#include <trunkline/lease.hpp>
#include <trunkline/source_location.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace trunkline::detail {

class hook_run;
class pool_impl;

/// A connection of a pool: what a lease points to and what a slot of the core holds.
class pooled_connection final : public connection {
public:
    pooled_connection(pool_impl& owner, core::slot& place, std::uint64_t serial) noexcept
        : owner_{owner},
          place_{place},
          serial_{serial} {}

    /// Sets the session, once.
    void adopt(std::shared_ptr<pg::session> session) noexcept { session_ = std::move(session); }
    /// What a lease, or a hook, has begun is no longer its own.
    using connection::forget_transactions;
    [[nodiscard]] pg::session& session() const noexcept { return *session_; }
    /// For a connection that leaves the pool.
    [[nodiscard]] std::shared_ptr<pg::session> shared_session() const noexcept { return session_; }
    [[nodiscard]] core::slot& place() const noexcept { return place_; }
    [[nodiscard]] pool_impl& owner() const noexcept { return owner_; }
    /// Tells it from the connections that had the same slot before.
    [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }

    static lease lend(pooled_connection& c) noexcept { return lease{&c}; }

    /// Where it was acquired. Each part is written and read by itself: a reader at the very moment of a hand-over may
    /// see parts of two places, which only a report of leases ever looks at.
    struct {
        std::atomic<const char*> file{""};
        std::atomic<const char*> function{""};
        std::atomic<unsigned> line{0};
    } lent_to;
    void set_holder(const source_location& where) noexcept {
        lent_to.file.store(where.file_name(), std::memory_order_relaxed);
        lent_to.function.store(where.function_name(), std::memory_order_relaxed);
        lent_to.line.store(where.line(), std::memory_order_relaxed);
    }

    /// When a waiter was given it; `never` if it was taken without waiting, because that reads no clock.
    core::time_point lent_at = core::never;
    /// Its lease has been reported as a leak.
    std::atomic<bool> leak_reported{false};
    /// A statement of the pool's own, for a task.
    struct chore : pg::operation {
        pooled_connection* of = nullptr;
        bool is_mended = false;  // what was left of its preparation is being ended
    } errand;
    /// The program's hook that runs for a task, if any. Under the core's lock.
    std::shared_ptr<hook_run> hook;

private:
    pool_impl& owner_;
    core::slot& place_;
    std::uint64_t serial_;
};

/// A connection that belongs to no pool; with no session it refuses every statement.
class loose_connection final : public connection {
public:
    loose_connection() = default;
    loose_connection(std::shared_ptr<pg::session> session, pooled_connection& from) noexcept {
        session_ = std::move(session);
        inherit_transactions(from);
    }
    /// Ends the session, whoever waits for something of it.
    ~loose_connection() {
        if (session_ != nullptr && !pg::forked_since(born_)) {
            session_->close(pool_errc::closed, {});
        }
    }

private:
    const unsigned born_ = pg::fork_generation();
};

}  // namespace trunkline::detail
