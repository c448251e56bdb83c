#include "numbers.hpp"

#include "duration.hpp"

#include <array>
#include <cstdio>

namespace trunkline::stress {

std::string with_commas(std::uint64_t value) {
    auto text = std::to_string(value);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string decimal(double value, int decimals) {
    std::array<char, 400> text{};  // the largest double has 309 digits before the point
    const int length = std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::string short_time(std::chrono::nanoseconds value) {
    const double ms = to_milliseconds(value);
    if (ms >= 1'000) {
        return decimal(ms / 1'000, ms >= 100'000 ? 0 : ms >= 10'000 ? 1 : 2) + " s";
    }
    return decimal(ms, ms >= 100 ? 0 : ms >= 10 ? 1 : 2) + " ms";
}

}  // namespace trunkline::stress
