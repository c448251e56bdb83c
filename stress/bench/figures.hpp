#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace trunkline::bench {

/// How many logical clients share how many connections.
struct cell {
    std::size_t clients = 0;
    std::size_t connections = 0;

    bool operator==(const cell&) const = default;
};

/// One round of the closed loop: everybody asks again as soon as he has his answer.
struct query_figures {
    double throughput_per_s = 0;
    double cpu_us_per_query = 0;  ///< user and system time of the client process
    double p50_ms = 0;            ///< of the whole operation, the wait for a connection included
    double p99_ms = 0;
    double p999_ms = 0;
    double wait_p50_ms = 0;  ///< of the wait for a connection alone
    double wait_p999_ms = 0;
    double peak_rss_mib = 0;  ///< of the client process
};

/// One round of acquire and release without a query.
struct handoff_figures {
    double ns = 0;           ///< of CPU, from one lease to the next
    double allocations = 0;  ///< calls of malloc and its like, each
};

struct uncontended_figures {
    double ns = 0;  ///< `co_await pool.acquire()` and its release
    double allocations = 0;
    double try_ns = 0;  ///< `try_acquire()` and its release
};

/// Clients that wait while nothing happens.
struct parked_figures {
    double rss_bytes_per_waiter = 0;   ///< coroutine, `co_spawn` and all
    double heap_bytes_per_waiter = 0;  ///< what malloc has handed out for it
    double cpu_ms = 0;                 ///< of the process, over `seconds`
    double context_switches = 0;
    double seconds = 0;
};

/// What all rounds of one cell gave; empty where it was not asked for.
struct cell_figures {
    cell of;
    std::vector<query_figures> baseline;
    std::vector<query_figures> pool;
    std::vector<handoff_figures> handoff;
};

struct bench_figures {
    std::vector<cell_figures> cells;
    std::vector<uncontended_figures> uncontended;
    std::vector<parked_figures> parked;
    std::size_t parked_waiters = 0;
    std::string server;  ///< its version
};

/// The middle of several rounds, and between what they lay.
struct spread {
    double median = 0;
    double lowest = 0;
    double highest = 0;
};

spread spread_of(std::vector<double> values);

/// One figure over all rounds.
template <typename Figures>
spread spread_of(const std::vector<Figures>& rounds, double Figures::*figure) {
    std::vector<double> values;
    for (const auto& round : rounds) {
        values.push_back(round.*figure);
    }
    return spread_of(std::move(values));
}

template <typename Figures>
double median_of(const std::vector<Figures>& rounds, double Figures::*figure) {
    return spread_of(rounds, figure).median;
}

/// 0 instead of a division by 0.
constexpr double ratio_of(double dividend, double divisor) { return divisor > 0 ? dividend / divisor : 0; }

}  // namespace trunkline::bench
