#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace trunkline::pg {

/// What errors show of a statement: 1,000 bytes at most, up to a whole character of UTF-8.
[[nodiscard]] inline std::string_view beginning_of(std::string_view statement) noexcept {
    constexpr std::size_t most = 1'000;
    auto length = std::min(statement.size(), most);
    while (length > 0 && length < statement.size() && (statement[length] & 0xC0) == 0x80) {
        --length;
    }
    return statement.substr(0, length);
}

}  // namespace trunkline::pg
