#pragma once

#include <string_view>

namespace trunkline::stress {

/// Whether PostgreSQL takes it as text in UTF-8: well-formed, no NUL, no surrogates, nothing beyond U+10FFFF.
bool is_valid_text(std::string_view text) noexcept;

}  // namespace trunkline::stress
