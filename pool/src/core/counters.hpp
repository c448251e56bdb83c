#pragma once

#include <atomic>
#include <cstdint>

namespace trunkline::core {

/// A number that is written by one thread at a time (under the face's lock) and may be read by any at any time. A write
/// is a plain load and store: no locked instruction.
class counter {
public:
    counter& operator++() noexcept {
        set(value() + 1);
        return *this;
    }
    counter& operator--() noexcept {
        set(value() - 1);
        return *this;
    }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// What the core counts. The gauges are the sizes of the states; what can be added up from others is not counted twice.
struct counters {
    counter connecting, idle, leased, resetting, closing, waiting;
    counter max, min;
    counter immediate, granted, timed_out, rejected, cancelled, failed;
    counter dials, opened, dials_failed;
    counter lost, reaped_idle, reaped_old, retired, discarded, cleanings;
    counter invalid, unprepared, worn, expired, detached;
    counter checks, keepalives, leaks, overloaded, deadlocks;
};

}  // namespace trunkline::core
