#include "support/allocation_counter.hpp"

#include <atomic>

namespace trunkline::test {

namespace {

// Plain data without constructors: malloc is called before any of them ran.
constinit thread_local std::uint64_t of_this_thread = 0;
constinit std::atomic<std::uint64_t> of_all_threads{0};
constinit std::atomic<bool> all_counted{false};
constinit std::atomic<bool> interposed{false};

}  // namespace

bool counts_allocations() noexcept { return interposed.load(std::memory_order_relaxed); }

std::uint64_t allocations_of_this_thread() noexcept { return of_this_thread; }

std::uint64_t allocations_of_all_threads() noexcept { return of_all_threads.load(std::memory_order_relaxed); }

void count_all_threads() noexcept { all_counted.store(true, std::memory_order_relaxed); }

void detail::count_allocation() noexcept {
    ++of_this_thread;
    if (all_counted.load(std::memory_order_relaxed)) {
        of_all_threads.fetch_add(1, std::memory_order_relaxed);
    }
}

void detail::announce_interposer() noexcept { interposed.store(true, std::memory_order_relaxed); }

}  // namespace trunkline::test
