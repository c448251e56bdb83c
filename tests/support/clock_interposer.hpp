#pragma once

// Counts how often each thread reads a clock. Include it in exactly one source of a program: it defines clock_gettime,
// which then stands before the C library's also for `std::chrono` and libpq. Under a sanitizer it counts nothing.

#include "support/sanitizer.hpp"

#include <cstdint>

namespace trunkline::test {

#if !defined(TRUNKLINE_TEST_SANITIZED) && defined(__GLIBC__)
inline constexpr bool counts_clock_reads = true;
#else
inline constexpr bool counts_clock_reads = false;
#endif

namespace detail {
inline constinit thread_local std::uint64_t clock_reads = 0;
}

/// Calls of clock_gettime by this thread, those of the `std::chrono` clocks included.
inline std::uint64_t clock_reads_of_this_thread() noexcept { return detail::clock_reads; }

}  // namespace trunkline::test

#if !defined(TRUNKLINE_TEST_SANITIZED) && defined(__GLIBC__)

#include <ctime>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace trunkline::test::detail {
using clock_function = int (*)(clockid_t, timespec*);
inline constinit clock_function real_clock = nullptr;

// At the start, so that no call looks it up later; until then the system call does.
[[gnu::constructor]] inline void find_real_clock() {
    real_clock = reinterpret_cast<clock_function>(::dlsym(RTLD_NEXT, "clock_gettime"));
}
}  // namespace trunkline::test::detail

extern "C" int clock_gettime(clockid_t clock, timespec* into) noexcept {
    ++trunkline::test::detail::clock_reads;
    const auto real = trunkline::test::detail::real_clock;
    return real != nullptr ? real(clock, into) : static_cast<int>(::syscall(SYS_clock_gettime, clock, into));
}

#endif
