#pragma once

#include "support/catch.hpp"

#include <string>

namespace trunkline::test {

/// Matches a text that has `part` in it: Catch2's versions name that differently.
inline auto has_text(const std::string& part) {
#if defined(TRUNKLINE_CATCH2_VERSION) && TRUNKLINE_CATCH2_VERSION >= 3
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

}  // namespace trunkline::test
