#include "decisions.hpp"

#include <algorithm>

namespace trunkline::core {

namespace {

constexpr std::size_t lacking(std::size_t wanted, std::size_t have) noexcept {
    return wanted > have ? wanted - have : 0;
}

std::chrono::nanoseconds share_of(std::chrono::milliseconds whole, double share) noexcept {
    return std::chrono::nanoseconds{
        static_cast<std::int64_t>(static_cast<double>(std::chrono::nanoseconds{whole}.count()) * share)};
}

}  // namespace

std::size_t dials_wanted(const dial_view& view) noexcept {
    const auto coming = view.connecting + view.checking;
    const bool wait_and_see = view.pausing && view.connecting > 0;
    const auto for_waiters = wait_and_see ? 0 : lacking(view.waiting, coming);
    const auto for_pace = view.one_by_one ? std::min<std::size_t>(for_waiters, 1) : for_waiters;
    const auto for_floor = lacking(view.floor, view.live + view.connecting);
    const auto for_idle = view.idle_floor == 0 ? 0 : lacking(view.idle_floor + view.waiting, view.idle + coming);
    const auto for_others = std::max({view.replacements, for_idle, for_floor, std::size_t{view.knock ? 1U : 0U}});
    const auto room = lacking(view.max, view.total);
    const auto parallel = lacking(view.parallel, view.connecting);
    return std::min({std::max(for_pace, for_others), room, parallel});
}

std::chrono::nanoseconds backoff_delay(unsigned failures, std::chrono::milliseconds initial,
                                       std::chrono::milliseconds max, double factor) noexcept {
    auto delay = initial;
    for (unsigned i = 1; i < failures && delay < max; ++i) {
        delay *= 2;
    }
    return share_of(std::min(delay, max), factor);
}

time_point retirement(time_point opened, std::chrono::milliseconds max_lifetime, double share) noexcept {
    return max_lifetime.count() == 0 ? never : opened + max_lifetime - share_of(max_lifetime, 0.1 * share);
}

time_point next_keepalive(time_point alive, std::chrono::milliseconds interval, double share) noexcept {
    return interval.count() == 0 ? never : alive + share_of(interval, 0.9 + 0.2 * share);
}

std::size_t automatic_max(std::size_t available, double share, std::size_t instances) noexcept {
    const auto mine = static_cast<double>(available) * share / static_cast<double>(instances);
    return std::max<std::size_t>(static_cast<std::size_t>(mine), 2);
}

std::chrono::nanoseconds sweep_interval(const limits& by) noexcept {
    constexpr std::chrono::nanoseconds shortest{1'000'000};
    constexpr std::chrono::nanoseconds for_idle_floor{100'000'000};
    constexpr std::chrono::nanoseconds for_lease_end{1'000'000'000};  // so that its place is back in three seconds
    auto interval = by.min_idle > 0 ? for_idle_floor : std::chrono::nanoseconds::max();
    if (by.lease_timeout.count() > 0) {
        interval = std::min(interval, for_lease_end);
    }
    for (const auto kept : {by.idle_timeout, by.lease_timeout, by.leak_threshold}) {
        if (kept.count() > 0) {
            interval = std::min(interval, std::chrono::nanoseconds{kept} / 8);
        }
    }
    for (const auto kept : {by.validate_after.value_or(std::chrono::milliseconds{0}), by.keepalive / 8}) {
        if (kept.count() > 0) {
            interval = std::min<std::chrono::nanoseconds>(interval, kept);
        }
    }
    return interval == std::chrono::nanoseconds::max() ? std::chrono::nanoseconds{0} : std::max(interval, shortest);
}

}  // namespace trunkline::core
