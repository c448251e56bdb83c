#pragma once

// Counts the allocations of a whole program, and lets some fail on demand. Include it in exactly one source of a program:
// it defines malloc and its like, which then stand before the C library's for every library of the process. Under a
// sanitizer, which brings its own malloc, nothing is counted, and what may fail is `new` and
// Asio's memory; under clang's thread sanitizer nothing may.

#include "support/allocation_counter.hpp"
#include "support/sanitizer.hpp"

#include <cerrno>
#include <cstddef>

namespace trunkline::test::detail {
template <typename Allocate>
void* unless_it_fails(Allocate allocate) noexcept {
    if (!count_allocation()) {
        errno = ENOMEM;
        return nullptr;
    }
    return allocate();
}
}  // namespace trunkline::test::detail

#if !defined(TRUNKLINE_TEST_SANITIZED) && defined(__GLIBC__)

extern "C" {
// glibc's own names of what is replaced here; free() stays the C library's.
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return __libc_malloc(size); });
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return __libc_calloc(count, size); });
}
void* realloc(void* old, std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return __libc_realloc(old, size); });
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return __libc_memalign(alignment, size); });
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return __libc_memalign(alignment, size); });
}
int posix_memalign(void** into, std::size_t alignment, std::size_t size) noexcept {
    void* const got = trunkline::test::detail::unless_it_fails([&] { return __libc_memalign(alignment, size); });
    if (got == nullptr) {
        return ENOMEM;
    }
    *into = got;
    return 0;
}
}

namespace trunkline::test::detail {
[[gnu::constructor]] inline void start_counting() { announce_interposer(true); }
}  // namespace trunkline::test::detail

#elif defined(TRUNKLINE_TEST_SANITIZED) && !defined(TRUNKLINE_TEST_OWNS_NEW)

#include <cstdlib>
#include <new>

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return trunkline::test::detail::unless_it_fails([&] { return std::malloc(size); });
}
void* operator new(std::size_t size) {
    void* const got = operator new(size, std::nothrow);
    return got != nullptr ? got : throw std::bad_alloc{};
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return operator new(size, std::nothrow); }
void operator delete(void* what) noexcept { std::free(what); }
void operator delete(void* what, std::size_t) noexcept { std::free(what); }
void operator delete(void* what, const std::nothrow_t&) noexcept { std::free(what); }
void operator delete[](void* what) noexcept { std::free(what); }
void operator delete[](void* what, std::size_t) noexcept { std::free(what); }
void operator delete[](void* what, const std::nothrow_t&) noexcept { std::free(what); }

// Asio's way.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    return trunkline::test::detail::unless_it_fails([&]() -> void* {
        void* got = nullptr;
        return ::posix_memalign(&got, alignment, size) == 0 ? got : nullptr;
    });
}

namespace trunkline::test::detail {
[[gnu::constructor]] inline void start_failing() { announce_interposer(false); }
}  // namespace trunkline::test::detail

#endif
