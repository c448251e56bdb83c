#pragma once

#include "limits.hpp"
#include "time.hpp"

#include <cstddef>
#include <cstdint>

/// The core's arithmetic: pure functions on values.
namespace trunkline::core {

/// What the number of dials depends on.
struct dial_view {
    std::size_t waiting = 0;
    std::size_t connecting = 0;
    std::size_t checking = 0;    ///< connections whose check will serve somebody who waits
    std::size_t idle = 0;        ///< or soon idle again, because only a sign of life is asked for
    std::size_t live = 0;        ///< idle, leased and resetting
    std::size_t total = 0;       ///< live, connecting and closing
    std::size_t floor = 0;       ///< how many are to be kept open
    std::size_t idle_floor = 0;  ///< how many are to be kept idle
    std::size_t max = 0;
    std::size_t parallel = 0;      ///< dials that may be under way together
    std::size_t replacements = 0;  ///< owed to connections that have left, or are to leave
    bool one_by_one = false;       ///< waiters get their dials one at a time …
    bool pausing = false;          ///< … and none beside one under way until the pause is over
    bool knock = false;            ///< somebody wants to know whether the server is back
};

/// How many dials to begin now: one for each waiter that no dial or check under way will serve, or as many as the floors
/// lack; within `max` and `parallel`. While pausing, waiters get no second dial beside one under way (SPEC SZ-6).
std::size_t dials_wanted(const dial_view& view) noexcept;

/// Whether the pause before a dial beside those under way goes on when its time is over: those who still wait will
/// probably have been served when another one ends, as many as in the one that is over (SPEC SZ-4: ten rounds of 2 ms
/// take 20 ms, and a little more).
constexpr bool pause_goes_on(std::size_t connecting, std::size_t waiting, std::uint64_t served_meanwhile) noexcept {
    return connecting > 0 && waiting > 0 && waiting <= served_meanwhile;
}

/// The wait before the next dial after `failures` (1 or more) failed in a row: `initial` doubled each time up to `max`,
/// times `factor`, which is drawn uniformly from 0.5 to 1, so that pools do not knock in step (SPEC RE-2).
std::chrono::nanoseconds backoff_delay(unsigned failures, std::chrono::milliseconds initial,
                                       std::chrono::milliseconds max, double factor) noexcept;

/// When a connection opened at `opened` has lived long enough: `max_lifetime` less up to a tenth, `share` being drawn
/// uniformly from 0 to 1 (SPEC LC-1). `never` for a lifetime of 0.
time_point retirement(time_point opened, std::chrono::milliseconds max_lifetime, double share) noexcept;

/// When a connection that last showed life at `alive` is asked again: after the interval, 10 % more or less (SPEC LC-6).
/// `never` for an interval of 0.
time_point next_keepalive(time_point alive, std::chrono::milliseconds interval, double share) noexcept;

/// A pool's share of what the server has to give, rounded down; at least 2, so that a small server still serves
/// (SPEC SZ-2).
std::size_t automatic_max(std::size_t available, double share, std::size_t instances) noexcept;

/// The time between two looks at the connections, because that bounds how late anything that has no clock of its own is
/// noticed: an eighth of each of the times that are kept so, `validate_after` itself, and 100 ms where an idle floor is
/// kept, because whoever takes an idle connection wakes nobody. 0: no need to look.
std::chrono::nanoseconds sweep_interval(const limits& by) noexcept;

}  // namespace trunkline::core
