#pragma once

#include "random.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>

namespace trunkline::stress {

/// The open loop's schedule: when operations are meant to start, whatever the server does. Arrivals are random and
/// independent (Poisson), as those of many users are. Clients draw the next one in turn; thread-safe.
class arrivals {
public:
    using clock = std::chrono::steady_clock;

    arrivals(double per_second, clock::time_point start, std::uint64_t seed)
        : mean_gap_{1e9 / per_second},
          next_{start},
          random_{seed} {}

    clock::time_point next() {
        const std::lock_guard lock{mutex_};
        // What is cut off the nanosecond is carried over: at high rates it would add up.
        carried_ += mean_gap_ * random_.exponential();
        const auto whole = static_cast<std::int64_t>(carried_);
        carried_ -= static_cast<double>(whole);
        next_ += std::chrono::nanoseconds{whole};
        return next_;
    }

private:
    const double mean_gap_;  ///< nanoseconds
    std::mutex mutex_;
    clock::time_point next_;
    double carried_ = 0;
    random_numbers random_;
};

}  // namespace trunkline::stress
