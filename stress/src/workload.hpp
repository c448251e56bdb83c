#pragma once

#include "arrivals.hpp"
#include "failure_log.hpp"
#include "gate.hpp"
#include "latency_recorder.hpp"
#include "mix.hpp"
#include "operations.hpp"
#include "sleeper.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace trunkline::stress {

/// How the clients behave.
struct workload_settings {
    std::size_t clients = 1;
    std::size_t threads = 1;
    std::uint64_t seed = 1;
    mix operations;
    std::chrono::nanoseconds think{0};  ///< closed loop
    std::optional<double> rate;         ///< open loop; at most `clients` operations are under way at once
    std::chrono::milliseconds acquire_timeout{30'000};
    std::chrono::nanoseconds warm_up{0};
    std::chrono::nanoseconds duration{0};
};

/// One kind of operation, as counted.
struct operation_tally {
    std::uint64_t ok = 0;
    std::uint64_t failed = 0;
};

/// What a workload measured after its warm-up; failures are counted from the start.
struct measurements {
    std::chrono::nanoseconds elapsed{};
    std::chrono::nanoseconds cpu{};  ///< of this process
    std::array<operation_tally, operation_count> tallies{};
    std::array<histogram_snapshot, operation_count> latency_by_kind{};
    histogram_snapshot latency;       ///< of all kinds, missed ones with the time until the end
    histogram_snapshot acquire_wait;  ///< from the call to the lease, immediate ones included
    std::map<std::string, failure_kind> failures;
    std::uint64_t missed = 0;  ///< open loop: meant to start before the end, and not begun by then

    [[nodiscard]] std::uint64_t ok() const;
    [[nodiscard]] std::uint64_t failed() const;
    [[nodiscard]] double throughput_per_s() const;
};

/// Where a workload stands, for whoever watches.
struct workload_view {
    std::uint64_t done = 0;
    std::uint64_t failed = 0;
    std::chrono::nanoseconds p99{};
};

/// Logical clients, each a coroutine of its own, on one pool.
class workload {
public:
    using clock = std::chrono::steady_clock;

    workload(pool& on, operation_context context, workload_settings settings);

    /// Runs once. Completes when the time is over, or `stop` was called, and the last operation has ended.
    boost::asio::awaitable<void> run();
    /// Ends the run early; any thread, any time.
    void stop();

    [[nodiscard]] workload_view view() const;
    [[nodiscard]] measurements results() const;

private:
    boost::asio::awaitable<void> run_client(std::uint64_t number);
    clock::time_point first_start(random_numbers& random) const;
    clock::time_point next_start(bool served, random_numbers& random) const;
    void count_served(operation which, clock::time_point intended);
    void count_failure(operation which, std::exception_ptr problem);
    void count_missed(clock::time_point due);
    void begin_measuring();
    void end_measuring();

    pool& pool_;
    const operation_context context_;
    const workload_settings settings_;
    sleeper clients_sleep_;
    sleeper phases_sleep_;
    gate clients_;

    clock::time_point start_{};
    clock::time_point measured_from_{};
    clock::time_point end_{};
    std::unique_ptr<arrivals> schedule_;  ///< open loop only
    std::atomic<bool> stopping_{false};

    struct alignas(64) counters {
        std::atomic<std::uint64_t> ok{0};
        std::atomic<std::uint64_t> failed{0};
    };
    std::array<counters, operation_count> counters_;
    std::array<latency_recorder, operation_count> latency_;
    latency_recorder missed_;
    latency_recorder acquire_wait_;
    failure_log failures_;
    std::chrono::nanoseconds elapsed_{};
    std::chrono::nanoseconds cpu_at_start_{};
    std::chrono::nanoseconds cpu_{};
};

}  // namespace trunkline::stress
