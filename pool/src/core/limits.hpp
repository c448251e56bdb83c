#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace trunkline::core {

/// The settings that the core decides by. Validated before they come here. What is not said is off.
struct limits {
    std::size_t min = 0;
    std::size_t max = 10;
    std::size_t max_connecting = 2;
    std::size_t max_waiting = 100'000;
    std::chrono::milliseconds backoff_initial{100};
    std::chrono::milliseconds backoff_max{5'000};
    std::chrono::milliseconds idle_timeout{600'000};    ///< 0: never
    std::chrono::milliseconds max_lifetime{1'800'000};  ///< 0: never
    std::chrono::milliseconds clean_timeout{5'000};     ///< of the pool's part in cleaning what came back unclean

    std::size_t min_idle = 0;
    bool first_in_first_out = false;            ///< which idle connection is lent first
    std::chrono::milliseconds anticipation{0};  ///< before a further dial for waiters beside one under way

    std::chrono::milliseconds full_retry{1'000};
    std::chrono::milliseconds starting_retry{200};
    std::chrono::milliseconds misconfigured_retry{5'000};
    std::size_t breaker_failures = 10;
    std::chrono::milliseconds breaker_window{150'000};
    std::chrono::milliseconds breaker_pause{120'000};
    std::optional<std::chrono::milliseconds> fail_fast_after{};  ///< unset: never

    std::chrono::milliseconds shed_target{0};  ///< 0: off
    std::chrono::milliseconds shed_interval{2'000};

    std::chrono::milliseconds keepalive{0};                     ///< 0: never
    std::size_t max_uses = 0;                                   ///< 0: never
    std::optional<std::chrono::milliseconds> validate_after{};  ///< unset: only what is suspect
    std::chrono::milliseconds check_timeout{500};               ///< of the pool's part of a check: a sign of life
    std::chrono::milliseconds lease_timeout{0};                 ///< 0: never
    std::chrono::milliseconds leak_threshold{0};                ///< 0: never

    bool prepares = false;       ///< a new connection is prepared before it joins
    bool checks_each = false;    ///< a connection is checked before each lending
    bool cleans_each = false;    ///< a connection is cleaned after each lease
    bool says_farewell = false;  ///< a connection is told before it is closed
    std::chrono::milliseconds prepare_timeout{5'000};
    std::chrono::milliseconds before_acquire_timeout{500};  ///< of the program's part of a check
    std::chrono::milliseconds after_release_timeout{500};   ///< of the program's part of a cleaning
    std::chrono::milliseconds farewell_timeout{500};
};

}  // namespace trunkline::core
