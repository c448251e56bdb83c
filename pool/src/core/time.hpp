#pragma once

#include <algorithm>
#include <chrono>

namespace trunkline::core {

/// The core is told the time; it never asks. In a simulation it is virtual.
using time_point = std::chrono::steady_clock::time_point;
using std::chrono::nanoseconds;

/// "Not in this life".
inline constexpr time_point never = time_point::max();

/// `now` and that much later, at most a year: so no duration that a caller gives overflows.
constexpr time_point after(time_point now, std::chrono::milliseconds time) noexcept {
    constexpr std::chrono::milliseconds longest{std::chrono::hours{24 * 365}};
    return now + std::clamp(time, std::chrono::milliseconds{0}, longest);
}

}  // namespace trunkline::core
