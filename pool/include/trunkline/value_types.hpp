#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

/// PostgreSQL's types that C++ has no type of its own for.
namespace trunkline {

/// A decimal number, exact to the last digit: PostgreSQL's `numeric`, kept as the text that the server shows for it.
/// For arithmetic convert the text to your decimal library's type.
class numeric {
public:
    numeric() = default;
    /// Digits with an optional sign and decimal point (`-12.50`), `NaN`, `Infinity` or `-Infinity`; no exponent. Throws
    /// `error` (`invalid_value`) for anything else.
    explicit numeric(std::string_view text);

    [[nodiscard]] const std::string& text() const& noexcept { return text_; }
    [[nodiscard]] std::string text() && noexcept { return std::move(text_); }

    /// The same text: `1.0` and `1.00` are different, as the server shows them differently.
    bool operator==(const numeric&) const = default;

private:
    std::string text_ = "0";
};

/// PostgreSQL's `interval`. Its three parts are kept apart, because a month has no fixed number of days, and a day, where
/// clocks change, no fixed number of hours.
struct interval {
    std::int32_t months = 0;
    std::int32_t days = 0;
    std::chrono::microseconds time{0};

    bool operator==(const interval&) const = default;
};

}  // namespace trunkline
