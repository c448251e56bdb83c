#pragma once

#include "support/catch.hpp"
#include "user_error.hpp"

#include <functional>
#include <string>

namespace trunkline::stress {

/// Matches a text that holds `part`. Catch2 3 gave the matcher of version 2
/// another name.
inline auto has(const std::string& part) {
#if defined(TRUNKLINE_CATCH2_VERSION) && TRUNKLINE_CATCH2_VERSION >= 3
    return Catch::Matchers::ContainsSubstring(part);
#else
    return Catch::Matchers::Contains(part);
#endif
}

/// What the user is told if `attempt` refuses; `none` if it does not.
inline std::string refusal_of(const std::function<void()>& attempt) {
    try {
        attempt();
    } catch (const user_error& problem) {
        return problem.what();
    }
    return "none";
}

}  // namespace trunkline::stress
