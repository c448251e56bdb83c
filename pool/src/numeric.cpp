#include "decoding.hpp"

#include <trunkline/parameters.hpp>
#include <trunkline/value_types.hpp>

#include <algorithm>
#include <charconv>
#include <vector>

// Decimal numbers. The server sends them as digits to the base of 10,000, the highest first; `weight` is the power of the
// first one, and `scale` the number of decimal digits behind the point (src/backend/utils/adt/numeric.c).

namespace trunkline {

namespace {

constexpr std::size_t digits_in_group = 4;
constexpr std::uint16_t base = 10'000;
constexpr std::size_t longest_scale = 16'383;
constexpr std::size_t longest_whole = 131'072;  // digits before the point

enum sign : std::uint16_t {
    positive = 0x0000,
    negative = 0x4000,
    nan = 0xC000,
    infinity = 0xD000,
    minus_infinity = 0xF000
};

bool is_digits(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The parts of a number's text.
struct parts {
    bool minus = false;
    std::string_view whole;
    std::string_view fraction;
};

parts parts_of(std::string_view text) noexcept {
    parts all;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        all.minus = text.front() == '-';
        text.remove_prefix(1);
    }
    const auto point = text.find('.');
    all.whole = text.substr(0, point);
    all.fraction = point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
    return all;
}

bool is_number(std::string_view text) noexcept {
    const auto all = parts_of(text);
    return (!all.whole.empty() || !all.fraction.empty()) && is_digits(all.whole) && is_digits(all.fraction) &&
           all.whole.size() <= longest_whole && all.fraction.size() <= longest_scale;
}

bool is_special(std::string_view text) noexcept { return text == "NaN" || text == "Infinity" || text == "-Infinity"; }

/// The value of up to four digits; behind the point those that are missing are zeros.
std::uint16_t group_of(std::string_view digits, bool behind_point) noexcept {
    std::uint16_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    for (auto missing = behind_point ? digits_in_group - digits.size() : 0; missing > 0; --missing) {
        value = static_cast<std::uint16_t>(value * 10);
    }
    return value;
}

/// In groups of four, counted from the point.
std::vector<std::uint16_t> groups_of(const parts& all) {
    std::vector<std::uint16_t> groups;
    auto whole = all.whole;
    if (const auto first = whole.size() % digits_in_group; first > 0) {
        groups.push_back(group_of(whole.substr(0, first), false));
        whole.remove_prefix(first);
    }
    for (; !whole.empty(); whole.remove_prefix(digits_in_group)) {
        groups.push_back(group_of(whole.substr(0, digits_in_group), false));
    }
    for (auto rest = all.fraction; !rest.empty(); rest.remove_prefix(std::min(digits_in_group, rest.size()))) {
        groups.push_back(group_of(rest.substr(0, digits_in_group), true));
    }
    return groups;
}

void append_group(std::string& text, std::uint16_t group) {
    char digits[digits_in_group];
    for (auto at = digits_in_group; at > 0; --at) {
        digits[at - 1] = static_cast<char>('0' + group % 10);
        group = static_cast<std::uint16_t>(group / 10);
    }
    text.append(digits, digits_in_group);
}

}  // namespace

numeric::numeric(std::string_view text) : text_{text} {
    if (!is_special(text) && !is_number(text)) {
        throw error{pool_errc::invalid_value, "\"" + std::string{text.substr(0, 64)} +
                                                  "\" is no decimal number; digits, a point and a sign make one"};
    }
}

void parameter_traits<numeric>::encode(parameters& to, const numeric& value) {
    const std::string_view text = value.text();
    std::vector<std::uint16_t> groups;
    std::int64_t weight = 0;
    std::size_t scale = 0;
    std::uint16_t kind = positive;
    if (is_special(text)) {
        kind = text == "NaN" ? nan : text == "Infinity" ? infinity : minus_infinity;
    } else {
        const auto all = parts_of(text);
        groups = groups_of(all);
        scale = all.fraction.size();
        weight = static_cast<std::int64_t>((all.whole.size() + digits_in_group - 1) / digits_in_group) - 1;
        const auto first = std::find_if(groups.begin(), groups.end(), [](auto group) { return group != 0; });
        weight -= first - groups.begin();
        groups.erase(groups.begin(), first);
        while (!groups.empty() && groups.back() == 0) {
            groups.pop_back();
        }
        weight = groups.empty() ? 0 : weight;
        kind = all.minus && !groups.empty() ? negative : positive;
    }
    std::vector<std::byte> bytes(8 + 2 * groups.size());
    detail::put_big_endian(bytes.data(), static_cast<std::uint16_t>(groups.size()));
    detail::put_big_endian(bytes.data() + 2, static_cast<std::uint16_t>(weight));
    detail::put_big_endian(bytes.data() + 4, kind);
    detail::put_big_endian(bytes.data() + 6, static_cast<std::uint16_t>(scale));
    for (std::size_t i = 0; i < groups.size(); ++i) {
        detail::put_big_endian(bytes.data() + 8 + 2 * i, groups[i]);
    }
    to.add_binary(detail::oid::numeric, bytes);
}

numeric detail::decode_numeric(const field& from) {
    if (from.type() != oid::numeric) {
        wrong_type(from, "a numeric");
    }
    byte_reader reader{from};
    const auto count = reader.take<std::uint16_t>();
    const auto weight = static_cast<std::int16_t>(reader.take<std::uint16_t>());
    const auto kind = reader.take<std::uint16_t>();
    const std::size_t scale = reader.take<std::uint16_t>();
    if (scale > longest_scale) {
        malformed(from);
    }
    switch (kind) {
    case nan: return numeric{"NaN"};
    case infinity: return numeric{"Infinity"};
    case minus_infinity: return numeric{"-Infinity"};
    case positive:
    case negative: break;
    default: malformed(from);
    }
    std::vector<std::uint16_t> groups(count);
    for (auto& group : groups) {
        group = reader.take<std::uint16_t>();
        if (group >= base) {
            malformed(from);
        }
    }
    reader.end();
    const auto group_at = [&](std::int64_t power) {
        const auto index = weight - power;
        return index >= 0 && index < count ? groups[static_cast<std::size_t>(index)] : std::uint16_t{0};
    };
    std::string digits;
    for (std::int64_t power = weight; power >= 0; --power) {
        append_group(digits, group_at(power));
    }
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    std::string text = kind == negative ? "-" : "";
    text += digits.empty() ? "0" : digits;
    if (scale > 0) {
        text += '.';
        const auto behind = text.size();
        for (std::int64_t power = -1; text.size() < behind + scale; --power) {
            append_group(text, group_at(power));
        }
        text.resize(behind + scale);
    }
    return numeric{text};
}

}  // namespace trunkline
