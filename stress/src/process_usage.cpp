#include "process_usage.hpp"

#include <fstream>
#include <string>
#include <sys/resource.h>

namespace trunkline::stress {

namespace {

std::chrono::nanoseconds duration_of(const timeval& value) {
    return std::chrono::seconds{value.tv_sec} + std::chrono::microseconds{value.tv_usec};
}

}  // namespace

std::chrono::nanoseconds cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return duration_of(usage.ru_utime) + duration_of(usage.ru_stime);
}

double peak_rss_mib() {
    std::ifstream status{"/proc/self/status"};
    std::string word;
    while (status >> word) {
        double kib = 0;
        if (word == "VmHWM:" && status >> kib) {
            return kib / 1024;
        }
    }
    return 0;
}

}  // namespace trunkline::stress
