#include "fork_guard.hpp"

#include <atomic>
#include <pthread.h>

namespace trunkline::pg {

namespace {

std::atomic<unsigned> generation{0};

void on_child() noexcept { generation.fetch_add(1, std::memory_order_relaxed); }

// At load, before any connection can have been made.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, &on_child);

}  // namespace

unsigned fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

}  // namespace trunkline::pg
