#pragma once

// TRUNKLINE_TEST_SANITIZED: a sanitizer is built in, which brings its own malloc, clocks and system calls.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TRUNKLINE_TEST_SANITIZED 1
#endif
#if __has_feature(thread_sanitizer)
#define TRUNKLINE_TEST_OWNS_NEW 1  // clang's thread sanitizer: it defines new and delete, and nobody else can
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRUNKLINE_TEST_SANITIZED 1
#endif
