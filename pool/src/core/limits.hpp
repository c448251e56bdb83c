#pragma once

#include <chrono>
#include <cstddef>

namespace trunkline::core {

/// The settings that the core decides by. Validated before they come here.
struct limits {
    std::size_t min = 0;
    std::size_t max = 10;
    std::size_t max_connecting = 2;
    std::size_t max_waiting = 100'000;
    std::chrono::milliseconds backoff_initial{100};
    std::chrono::milliseconds backoff_max{5'000};
    std::chrono::milliseconds idle_timeout{600'000};    ///< 0: never
    std::chrono::milliseconds max_lifetime{1'800'000};  ///< 0: never
    std::chrono::milliseconds rollback_timeout{5'000};
};

}  // namespace trunkline::core
