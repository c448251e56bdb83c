#pragma once

#include <stdexcept>

namespace trunkline::stress {

/// What the user gave cannot be used. `what()` is one sentence with the remedy; the program prints it and exits with 2.
class user_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace trunkline::stress
