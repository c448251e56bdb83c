#pragma once

#include "core/slot.hpp"
#include "core/time.hpp"
#include "pg/session.hpp"

#include <trunkline/lease.hpp>

#include <cstdint>
#include <memory>

namespace trunkline::detail {

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
    [[nodiscard]] pg::session& session() const noexcept { return *session_; }
    [[nodiscard]] core::slot& place() const noexcept { return place_; }
    [[nodiscard]] pool_impl& owner() const noexcept { return owner_; }
    /// Tells it from the connections that had the same slot before.
    [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }

    static lease lend(pooled_connection& c) noexcept { return lease{&c}; }
    /// From a lease: back to the pool.
    void give_back(bool discard) noexcept;

    /// When a waiter was given it; `never` if it was taken without waiting, because that reads no clock.
    core::time_point lent_at = core::never;
    /// The ROLLBACK of a lease that was returned inside a transaction.
    struct rollback : pg::operation {
        pooled_connection* of = nullptr;
    } cleaning;

private:
    pool_impl& owner_;
    core::slot& place_;
    std::uint64_t serial_;
};

}  // namespace trunkline::detail
