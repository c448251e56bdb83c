#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::stress {

/// What an SLO can be about.
enum class slo_metric {
    p50,         ///< latency that half of the operations did not exceed
    p90,         ///< … nine tenths
    p99,         ///< … 99 of 100
    p999,        ///< … 999 of 1,000
    max,         ///< the longest latency
    errors,      ///< operations that failed
    lost,        ///< acknowledged writes that are not there
    throughput,  ///< operations that succeeded, per second
};

enum class slo_relation {
    less,
    at_most,
    equal,
    at_least,
    greater,
};

/// `p99<500ms`. Latency limits are in milliseconds, throughput is per second, the rest are counts.
struct slo_term {
    slo_metric metric;
    slo_relation relation;
    double limit;
    std::string text;
};

/// Terms that must all hold.
struct slo {
    std::string expression;
    std::vector<slo_term> terms;
};

/// What a run measured.
struct slo_values {
    double p50_ms = 0;
    double p90_ms = 0;
    double p99_ms = 0;
    double p999_ms = 0;
    double max_ms = 0;
    double throughput_per_s = 0;
    std::uint64_t errors = 0;
    std::uint64_t lost = 0;
    std::uint64_t operations = 0;  ///< latencies measured; with none, every term about latency is broken
};

struct slo_verdict {
    bool passed = true;
    std::vector<std::string> broken;  ///< `p99<500ms: was 612.3 ms`
};

/// Reads `p99<500ms,errors=0`. Throws `user_error`, which quotes the part that is wrong and says what to write instead.
slo parse_slo(std::string_view text);

slo_verdict evaluate(const slo& wanted, const slo_values& measured);

}  // namespace trunkline::stress
