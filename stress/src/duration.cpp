#include "duration.hpp"

#include "user_error.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace trunkline::stress {

namespace {

struct unit {
    std::string_view name;
    double nanoseconds;
};
constexpr std::array<unit, 5> units{{{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
constexpr double longest = 366.0 * 24 * 3600e9;

[[noreturn]] void refuse(std::string_view text, std::string_view what, std::string_view why) {
    throw user_error(std::string{what} + ": '" + std::string{text} + "' " + std::string{why});
}

}  // namespace

std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what) {
    double number = 0;
    const auto [end, problem] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (problem != std::errc{} || !std::isfinite(number)) {
        refuse(text, what, "is not a duration; write a number and its unit, such as 500ms, 10s or 5m");
    }
    const std::string_view name{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    if (name.empty()) {
        refuse(text, what, "has no unit; write " + std::string{text} + "s, " + std::string{text} + "ms or the like");
    }
    if (number < 0) {
        refuse(text, what, "is negative; a duration is 0s or longer");
    }
    for (const auto& candidate : units) {
        if (candidate.name == name) {
            const double value = number * candidate.nanoseconds;
            if (value > longest) {
                refuse(text, what, "is longer than a year; give a shorter one");
            }
            return std::chrono::nanoseconds{std::llround(value)};
        }
    }
    refuse(text, what, "has the unknown unit '" + std::string{name} + "'; use us, ms, s, m or h");
}

std::string format_duration(std::chrono::nanoseconds value) {
    const auto count = value.count();
    if (count % 1'000'000'000 == 0) {
        return std::to_string(count / 1'000'000'000) + "s";
    }
    if (count % 1'000'000 == 0) {
        return std::to_string(count / 1'000'000) + "ms";
    }
    return std::to_string(count / 1'000) + "us";
}

}  // namespace trunkline::stress
