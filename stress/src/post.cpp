#include "post.hpp"

#include <algorithm>
#include <array>

namespace trunkline::stress {

namespace {
constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t longest_loaded_id = 9;
constexpr std::size_t inserted_id_length = 10;  // up to 36^10: more inserts than any run has

std::optional<std::uint64_t> parse(std::string_view id) {
    if (id.empty() || (id.front() == '0' && id.size() > 1)) {
        return std::nullopt;
    }
    std::uint64_t number = 0;
    for (const char c : id) {
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        number = number * digits.size() + digit;
    }
    return number;
}

}  // namespace

std::optional<std::uint64_t> post_number(std::string_view id) {
    return id.size() <= longest_loaded_id ? parse(id) : std::nullopt;
}

std::optional<std::uint64_t> inserted_post_number(std::string_view id) {
    const auto number = id.size() == inserted_id_length ? parse(id) : std::nullopt;
    if (!number) {
        return std::nullopt;
    }
    return *number - first_inserted_post;
}

std::string post_id(std::uint64_t number) {
    std::array<char, 13> text{};  // 2^64 has 13 digits
    auto at = text.end();
    do {
        *--at = digits[number % digits.size()];
        number /= digits.size();
    } while (number != 0);
    return {at, text.end()};
}

}  // namespace trunkline::stress
