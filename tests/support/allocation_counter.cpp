#include "support/allocation_counter.hpp"

#include <atomic>

namespace trunkline::test {

namespace {

// Plain data without constructors: malloc is called before any of them ran.
constinit thread_local std::uint64_t of_this_thread = 0;
constinit std::atomic<std::uint64_t> of_all_threads{0};
constinit std::atomic<bool> all_counted{false};
constinit std::atomic<bool> interposed{false};

constinit std::atomic<bool> may_fail{false};
constinit thread_local int spared = 0;
constinit std::atomic<bool> failing{false};
constinit std::atomic<std::uint64_t> seen{0};  // since `fail_allocations`
constinit std::atomic<std::uint64_t> first_failure{0};
constinit std::atomic<std::uint64_t> failures{0};
constinit std::atomic<std::uint64_t> failed{0};
constinit std::atomic<const void*> only_thread{nullptr};  // the address of its `spared`; null: every thread

bool is_to_fail() noexcept {
    const void* const only = only_thread.load();
    if (spared > 0 || (only != nullptr && only != &spared)) {
        return false;
    }
    const auto number = seen.fetch_add(1);
    const auto first = first_failure.load();
    const bool hit = number >= first && number - first < failures.load();
    if (hit) {
        failed.fetch_add(1);
    }
    return hit;
}

}  // namespace

bool counts_allocations() noexcept { return interposed.load(std::memory_order_relaxed); }

std::uint64_t allocations_of_this_thread() noexcept { return of_this_thread; }

std::uint64_t allocations_of_all_threads() noexcept { return of_all_threads.load(std::memory_order_relaxed); }

void count_all_threads() noexcept { all_counted.store(true, std::memory_order_relaxed); }

bool fails_allocations() noexcept { return may_fail.load(std::memory_order_relaxed); }

void fail_allocations(std::uint64_t after, std::uint64_t many, whose threads) noexcept {
    only_thread = threads == whose::this_thread ? &spared : nullptr;
    first_failure = after;
    failures = many;
    failed = 0;
    seen = 0;
    failing = true;
}

std::uint64_t allocations_work_again() noexcept {
    failing = false;
    return failed.load();
}

unfailing_allocations::unfailing_allocations() noexcept { ++spared; }

unfailing_allocations::~unfailing_allocations() { --spared; }

bool detail::count_allocation() noexcept {
    ++of_this_thread;
    if (all_counted.load(std::memory_order_relaxed)) {
        of_all_threads.fetch_add(1, std::memory_order_relaxed);
    }
    return !failing.load(std::memory_order_relaxed) || !is_to_fail();
}

void detail::announce_interposer(bool counts) noexcept {
    interposed.store(counts, std::memory_order_relaxed);
    may_fail.store(true, std::memory_order_relaxed);
}

}  // namespace trunkline::test
