#pragma once

#include <trunkline/histogram.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace trunkline::metrics {

/// The shard of the calling thread: threads take them in turn.
inline std::size_t shard_of_this_thread(std::size_t shards) noexcept {
    static std::atomic<std::size_t> next{0};
    constexpr std::size_t none = ~std::size_t{0};
    static constinit thread_local std::size_t mine = none;
    if (mine == none) {
        mine = next.fetch_add(1, std::memory_order_relaxed);
    }
    return mine % shards;
}

/// A histogram that any thread adds to without a lock or an allocation, and that any thread reads meanwhile. Threads
/// write to shards that share no cache line, so that they do not slow each other down; more threads than shards share.
class sharded_histogram {
public:
    void record(std::chrono::nanoseconds value) noexcept {
        auto& mine = shards_[shard_of_this_thread(shards_.size())];
        const auto count = value.count() > 0 ? static_cast<std::uint64_t>(value.count()) : 0;
        mine.counts[histogram_scale::bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
        mine.sum.fetch_add(count, std::memory_order_relaxed);
        auto longest = mine.longest.load(std::memory_order_relaxed);
        while (longest < count && !mine.longest.compare_exchange_weak(longest, count, std::memory_order_relaxed)) {
        }
    }

    /// What has been recorded so far. Durations that arrive meanwhile may be in the counts and not yet in the sum.
    [[nodiscard]] histogram_snapshot snapshot() const noexcept {
        histogram_snapshot all;
        for (const auto& one : shards_) {
            for (std::size_t i = 0; i < one.counts.size(); ++i) {
                const auto n = one.counts[i].load(std::memory_order_relaxed);
                all.counts[i] += n;
                all.count += n;
            }
            all.sum += std::chrono::nanoseconds{static_cast<std::int64_t>(one.sum.load(std::memory_order_relaxed))};
            const std::chrono::nanoseconds longest{
                static_cast<std::int64_t>(one.longest.load(std::memory_order_relaxed))};
            all.longest = longest > all.longest ? longest : all.longest;
        }
        return all;
    }

private:
    static constexpr std::size_t shard_count = 8;
    struct alignas(64) shard {
        std::array<std::atomic<std::uint64_t>, histogram_scale::buckets> counts{};
        std::atomic<std::uint64_t> sum{0};
        std::atomic<std::uint64_t> longest{0};
    };
    std::array<shard, shard_count> shards_{};
};

}  // namespace trunkline::metrics
