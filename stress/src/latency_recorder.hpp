#pragma once

#include <trunkline/histogram.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>

namespace trunkline::stress {

/// Durations from several threads, counted without allocation. Each thread has a histogram of its own, so that they do
/// not meet; its lock is there for the reader, who comes by a few times a second.
class latency_recorder {
public:
    /// `threads`: how many may record at the same time without meeting; more are correct, and slower.
    explicit latency_recorder(std::size_t threads);

    void record(std::chrono::nanoseconds value) noexcept;
    /// Everything since the last reset.
    [[nodiscard]] histogram_snapshot snapshot() const;
    void reset();

private:
    struct alignas(64) shard {
        std::mutex mutex;
        histogram_snapshot counts;
    };
    [[nodiscard]] shard& own() const noexcept;

    std::size_t size_;
    std::unique_ptr<shard[]> shards_;
};

}  // namespace trunkline::stress
