#pragma once

#include "ledger.hpp"
#include "options.hpp"
#include "slo.hpp"
#include "workload.hpp"

#include <trunkline/stats.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace trunkline::stress {

/// What was loaded.
struct load_result {
    std::uint64_t loaded = 0;
    std::uint64_t malformed = 0;
    std::uint64_t duplicates = 0;
    std::chrono::nanoseconds elapsed{};
};

/// One rate that `capacity` tried.
struct capacity_step {
    double rate_per_s = 0;
    bool held = false;
    double throughput_per_s = 0;
    double p99_ms = 0;
    std::uint64_t failed = 0;
};

/// Everything that a run found out.
struct report {
    options asked;
    load_result load;
    measurements run;  ///< capacity: of the highest rate that held, or of the last that did not
    write_counts writes;
    std::size_t server_connections_max = 0;
    std::uint64_t server_looks = 0;  ///< how often its sessions were counted
    double client_peak_rss_mib = 0;
    pool_stats pool;
    slo_verdict verdict;
    std::vector<capacity_step> steps;  ///< in the order tried
    bool interrupted = false;

    /// The highest rate that held; 0 if none did.
    [[nodiscard]] double capacity_per_s() const;
    /// Whether nothing went wrong that must not, apart from the SLO: no write lost or done twice, no session too many.
    [[nodiscard]] bool sound() const;
};

/// What the SLO is judged by.
slo_values values_of(const measurements& run, const write_counts& writes);

boost::json::object to_json(const report& from);
/// For people, many lines.
std::string to_table(const report& from);

}  // namespace trunkline::stress
