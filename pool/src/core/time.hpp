#pragma once

#include <chrono>

namespace trunkline::core {

/// The core is told the time; it never asks. In a simulation it is virtual.
using time_point = std::chrono::steady_clock::time_point;
using std::chrono::nanoseconds;

/// "Not in this life".
inline constexpr time_point never = time_point::max();

}  // namespace trunkline::core
