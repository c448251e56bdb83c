#include "decisions.hpp"

#include <algorithm>

namespace trunkline::core {

namespace {

constexpr std::size_t lacking(std::size_t wanted, std::size_t have) noexcept {
    return wanted > have ? wanted - have : 0;
}

}  // namespace

std::size_t dials_wanted(const dial_view& view) noexcept {
    const auto for_waiters = lacking(view.waiting, view.connecting);
    const auto for_floor = lacking(view.floor, view.live + view.connecting);
    const auto room = lacking(view.max, view.total);
    const auto parallel = lacking(view.probing ? 1 : view.max_connecting, view.connecting);
    return std::min({std::max(for_waiters, for_floor), room, parallel});
}

std::chrono::nanoseconds backoff_delay(unsigned failures, std::chrono::milliseconds initial,
                                       std::chrono::milliseconds max, double factor) noexcept {
    auto delay = initial;
    for (unsigned i = 1; i < failures && delay < max; ++i) {
        delay *= 2;
    }
    const auto full = std::chrono::nanoseconds{std::min(delay, max)};
    return std::chrono::nanoseconds{static_cast<std::int64_t>(static_cast<double>(full.count()) * factor)};
}

time_point retirement(time_point opened, std::chrono::milliseconds max_lifetime, double share) noexcept {
    if (max_lifetime.count() == 0) {
        return never;
    }
    const auto full = std::chrono::nanoseconds{max_lifetime};
    const auto less = static_cast<std::int64_t>(static_cast<double>(full.count()) * 0.1 * share);
    return opened + full - std::chrono::nanoseconds{less};
}

std::chrono::nanoseconds sweep_interval(std::chrono::milliseconds idle_timeout) noexcept {
    return std::chrono::nanoseconds{idle_timeout} / 8;
}

}  // namespace trunkline::core
