#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace trunkline::stress {

/// A number with a unit: `500us`, `10ms`, `1.5s`, `5m`, `1h`. Throws `user_error`, which names `what` (`--think`) and the
/// remedy, if the unit is missing or unknown, or the number is negative, malformed or beyond a year.
std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what);

/// The shortest exact form in one unit: `60s`, `1500ms`, `0s`.
std::string format_duration(std::chrono::nanoseconds value);

inline double to_seconds(std::chrono::nanoseconds value) { return std::chrono::duration<double>(value).count(); }
inline double to_milliseconds(std::chrono::nanoseconds value) {
    return std::chrono::duration<double, std::milli>(value).count();
}

}  // namespace trunkline::stress
