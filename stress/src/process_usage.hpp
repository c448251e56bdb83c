#pragma once

#include <chrono>

namespace trunkline::stress {

/// User and system time that this process has used so far, all threads.
std::chrono::nanoseconds cpu_time();

/// The most memory that this process ever had resident, in MiB (`VmHWM`); 0 where the kernel does not tell.
double peak_rss_mib();

}  // namespace trunkline::stress
