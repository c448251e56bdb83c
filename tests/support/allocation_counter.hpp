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

/// Whether allocations can be made to fail: under a sanitizer only those by `new` and Asio's.
bool fails_allocations() noexcept;
/// Whose allocations fail.
enum class whose : unsigned char { all_threads, this_thread };
/// Lets `many` allocations in a row fail, after `after` others. Until `allocations_work_again()`.
void fail_allocations(std::uint64_t after, std::uint64_t many, whose threads) noexcept;
/// Gives how many have failed.
std::uint64_t allocations_work_again() noexcept;

/// While it lives this thread's allocations are neither counted among those nor fail.
class unfailing_allocations {
public:
    unfailing_allocations() noexcept;
    unfailing_allocations(const unfailing_allocations&) = delete;
    unfailing_allocations& operator=(const unfailing_allocations&) = delete;
    ~unfailing_allocations();
};

namespace detail {
/// False: this one is to fail.
[[nodiscard]] bool count_allocation() noexcept;
void announce_interposer(bool counts) noexcept;
}  // namespace detail

}  // namespace trunkline::test
