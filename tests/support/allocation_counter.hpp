#pragma once

#include <cstdint>

namespace trunkline::test {

/// Whether this program counts allocations: a source of it includes "support/allocation_interposer.hpp", and no
/// sanitizer is built in (those bring their own malloc).
bool counts_allocations() noexcept;

/// Calls of malloc, calloc, realloc, aligned_alloc, posix_memalign and memalign by this thread since its start: below
/// `operator new`, which Asio does not use; libpq's and the standard library's calls included. 0 if not counted.
std::uint64_t allocations_of_this_thread() noexcept;

/// The same of all threads, since the first call of `count_all_threads()`; it makes each allocation a little slower.
std::uint64_t allocations_of_all_threads() noexcept;
void count_all_threads() noexcept;

namespace detail {
void count_allocation() noexcept;
void announce_interposer() noexcept;
}  // namespace detail

}  // namespace trunkline::test
