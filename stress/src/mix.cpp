#include "mix.hpp"

#include "user_error.hpp"

#include <cassert>
#include <charconv>
#include <numeric>
#include <optional>

namespace trunkline::stress {

namespace {

constexpr std::uint32_t max_weight = 1'000'000;

[[noreturn]] void refuse(std::string_view part, std::string_view why) {
    throw user_error("--mix: '" + std::string{part} + "' " + std::string{why});
}

std::optional<operation> operation_named(std::string_view name) {
    for (const auto which : all_operations) {
        if (name_of(which) == name) {
            return which;
        }
    }
    return std::nullopt;
}

std::uint32_t parse_weight(std::string_view part, std::string_view text) {
    std::uint32_t weight = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), weight);
    if (problem != std::errc{} || end != text.data() + text.size() || weight == 0 || weight > max_weight) {
        refuse(part, "needs a weight from 1 to 1000000, a whole number; leave an operation out to have none of it");
    }
    return weight;
}

}  // namespace

std::uint64_t mix::total() const { return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}); }

operation mix::pick(std::uint64_t random) const {
    const auto sum = total();
    assert(sum > 0);
    auto left = random % sum;
    for (const auto which : all_operations) {
        const auto weight = weights[index_of(which)];
        if (left < weight) {
            return which;
        }
        left -= weight;
    }
    return operation::search;
}

mix parse_mix(std::string_view text) {
    mix parsed;
    std::size_t at = 0;
    while (at <= text.size()) {
        const auto comma = std::min(text.find(',', at), text.size());
        const auto part = text.substr(at, comma - at);
        at = comma + 1;
        const auto equals = part.find('=');
        if (part.empty() || equals == std::string_view::npos) {
            refuse(part, "is not operation=weight; write it like search=60,read=25,update=10,insert=5");
        }
        const auto which = operation_named(part.substr(0, equals));
        if (!which) {
            refuse(part, "names no operation; use search, read, update or insert");
        }
        auto& weight = parsed.weights[index_of(*which)];
        if (weight != 0) {
            refuse(part, "names an operation a second time; name each one once");
        }
        weight = parse_weight(part, part.substr(equals + 1));
    }
    return parsed;
}

std::string to_string(const mix& value) {
    std::string text;
    for (const auto which : all_operations) {
        if (value.has(which)) {
            text += text.empty() ? "" : ",";
            text += std::string{name_of(which)} + "=" + std::to_string(value.weights[index_of(which)]);
        }
    }
    return text;
}

}  // namespace trunkline::stress
