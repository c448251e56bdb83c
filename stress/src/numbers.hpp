#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace trunkline::stress {

/// `48,555`.
std::string with_commas(std::uint64_t value);
/// With a fixed number of decimals.
std::string decimal(double value, int decimals);
/// Three significant digits, in ms or s: `0.12 ms`, `431 ms`, `8.20 s`.
std::string short_time(std::chrono::nanoseconds value);

}  // namespace trunkline::stress
