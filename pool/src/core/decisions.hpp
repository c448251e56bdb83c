#pragma once

#include "limits.hpp"
#include "time.hpp"

#include <cstddef>

/// The core's arithmetic: pure functions on values.
namespace trunkline::core {

/// What the number of dials depends on.
struct dial_view {
    std::size_t waiting = 0;
    std::size_t connecting = 0;
    std::size_t live = 0;   ///< idle, leased and resetting
    std::size_t total = 0;  ///< live, connecting and closing
    std::size_t floor = 0;  ///< how many are to be kept open
    std::size_t max = 0;
    std::size_t max_connecting = 0;
    bool probing = false;  ///< the last dial failed
};

/// How many dials to begin now: one for each waiter that no dial under way will serve, or as many as the floor lacks;
/// within `max` and `max_connecting`; a single one at a time while the server refuses (SPEC RE-3).
std::size_t dials_wanted(const dial_view& view) noexcept;

/// The wait before the next dial after `failures` (1 or more) failed in a row: `initial` doubled each time up to `max`,
/// times `factor`, which is drawn uniformly from 0.5 to 1, so that pools do not knock in step (SPEC RE-2).
std::chrono::nanoseconds backoff_delay(unsigned failures, std::chrono::milliseconds initial,
                                       std::chrono::milliseconds max, double factor) noexcept;

/// When a connection opened at `opened` has lived long enough: `max_lifetime` less up to a tenth, `share` being drawn
/// uniformly from 0 to 1 (SPEC LC-1). `never` for a lifetime of 0.
time_point retirement(time_point opened, std::chrono::milliseconds max_lifetime, double share) noexcept;

/// The time between two looks at the idle connections: an eighth of the time-out, because that bounds how late a
/// reaping may be. 0 for a time-out of 0.
std::chrono::nanoseconds sweep_interval(std::chrono::milliseconds idle_timeout) noexcept;

}  // namespace trunkline::core
