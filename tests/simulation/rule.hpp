#pragma once

#include <stdexcept>

namespace simulation {

/// A rule of the design does not hold.
struct violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void demand(bool holds, const char* rule) {
    if (!holds) {
        throw violation{rule};
    }
}

}  // namespace simulation
