#include "utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace trunkline::stress {

namespace {

/// Bytes of the character that starts with `first`; 0 if none does.
std::size_t length_of(unsigned char first) noexcept {
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/// The second byte alone can make a character too long a form, a surrogate, or too large.
bool fits(unsigned char first, unsigned char second) noexcept {
    switch (first) {
    case 0xE0: return second >= 0xA0;
    case 0xED: return second <= 0x9F;
    case 0xF0: return second >= 0x90;
    case 0xF4: return second <= 0x8F;
    default: return true;
    }
}

}  // namespace

bool is_valid_text(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        const auto length = length_of(first);
        if (first == 0 || length == 0 || text.size() - at < length) {
            return false;
        }
        for (std::size_t i = 1; i < length; ++i) {
            const auto byte = static_cast<unsigned char>(text[at + i]);
            if ((byte & 0xC0) != 0x80 || (i == 1 && !fits(first, byte))) {
                return false;
            }
        }
        at += length;
    }
    return true;
}

}  // namespace trunkline::stress
