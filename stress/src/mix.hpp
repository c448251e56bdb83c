#pragma once

#include "operation.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace trunkline::stress {

/// How often each operation comes up, relative to the others.
struct mix {
    std::array<std::uint32_t, operation_count> weights{};  ///< by `index_of`; 0: never

    [[nodiscard]] std::uint64_t total() const;
    [[nodiscard]] bool has(operation which) const { return weights[index_of(which)] != 0; }
    /// The operation that a random number stands for: evenly spread numbers give operations by weight.
    [[nodiscard]] operation pick(std::uint64_t random) const;

    bool operator==(const mix&) const = default;
};

/// Reads `search=60,read=25,update=10,insert=5`: any of the four, each once, weights from 1 to 1,000,000.
/// Throws `user_error`, which quotes the part that is wrong and says what to write instead.
mix parse_mix(std::string_view text);

std::string to_string(const mix& value);

}  // namespace trunkline::stress
