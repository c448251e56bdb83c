#include "latency_recorder.hpp"

#include <atomic>

namespace trunkline::stress {

namespace {

/// Threads in the order in which they first record.
std::size_t number_of_this_thread() noexcept {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
}

}  // namespace

latency_recorder::latency_recorder(std::size_t threads) : size_{threads}, shards_{std::make_unique<shard[]>(threads)} {}

latency_recorder::shard& latency_recorder::own() const noexcept { return shards_[number_of_this_thread() % size_]; }

void latency_recorder::record(std::chrono::nanoseconds value) noexcept {
    auto& mine = own();
    const std::lock_guard lock{mine.mutex};
    mine.counts.record(value);
}

histogram_snapshot latency_recorder::snapshot() const {
    histogram_snapshot all;
    for (std::size_t i = 0; i < size_; ++i) {
        const std::lock_guard lock{shards_[i].mutex};
        all.merge(shards_[i].counts);
    }
    return all;
}

void latency_recorder::reset() {
    for (std::size_t i = 0; i < size_; ++i) {
        const std::lock_guard lock{shards_[i].mutex};
        shards_[i].counts = {};
    }
}

}  // namespace trunkline::stress
