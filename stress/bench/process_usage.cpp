#include "process_usage.hpp"

#include <fstream>
#include <malloc.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>

namespace trunkline::bench {

namespace {

std::chrono::microseconds duration_of(const timeval& time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

std::size_t status_bytes(const std::string& key) {
    std::ifstream in{"/proc/self/status"};
    for (std::string word; in >> word;) {
        std::size_t kib = 0;
        if (word == key && in >> kib) {
            return kib * 1024;
        }
    }
    throw std::runtime_error{"/proc/self/status has no " + key};
}

}  // namespace

process_usage usage_now() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return {duration_of(used.ru_utime) + duration_of(used.ru_stime),
            static_cast<std::uint64_t>(used.ru_nvcsw) + static_cast<std::uint64_t>(used.ru_nivcsw)};
}

std::size_t rss_bytes() { return status_bytes("VmRSS:"); }

std::size_t peak_rss_bytes() { return status_bytes("VmHWM:"); }

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

}  // namespace trunkline::bench
