#pragma once

// Counts the allocations of a whole program. Include it in exactly one source of a program: it defines
// malloc and its like, which then stand before the C library's for every library of the process. Under a sanitizer,
// which brings its own, it defines nothing and `counts_allocations()` says so.

#include "support/allocation_counter.hpp"
#include "support/sanitizer.hpp"

#if !defined(TRUNKLINE_TEST_SANITIZED) && defined(__GLIBC__)

#include <cerrno>
#include <cstddef>

extern "C" {
// glibc's own names of what is replaced here; free() stays the C library's.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** into, std::size_t alignment, std::size_t size) noexcept {
    trunkline::test::detail::count_allocation();
    void* const got = __libc_memalign(alignment, size);
    if (got == nullptr) {
        return ENOMEM;
    }
    *into = got;
    return 0;
}
}

namespace trunkline::test::detail {
[[gnu::constructor]] inline void start_counting() { announce_interposer(); }
}  // namespace trunkline::test::detail

#endif
