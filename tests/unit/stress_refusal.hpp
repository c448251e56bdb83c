#pragma once

#include "support/catch.hpp"
#include "user_error.hpp"

#include <functional>
#include <string>

namespace trunkline::stress {

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
