#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace trunkline::bench {

/// What this process has used of the machine so far.
struct process_usage {
    std::chrono::microseconds cpu{};  ///< user and system time of all threads
    std::uint64_t context_switches = 0;
};
process_usage usage_now();

std::size_t rss_bytes();
std::size_t peak_rss_bytes();
/// What malloc has handed out and not got back.
std::size_t heap_bytes();

}  // namespace trunkline::bench
