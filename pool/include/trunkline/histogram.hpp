#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace trunkline {

/// Where a duration is counted: log-linear, 32 buckets an octave, so that a bucket's middle is within 1.6 % of what
/// was measured, or within 64 ns below 4 µs (HdrHistogram's scheme). What is longer than 137 s counts in the last bucket.
struct histogram_scale {
    static constexpr unsigned unit_bits = 7;     ///< the finest bucket is 2^7 ns
    static constexpr unsigned linear_bits = 5;   ///< 2^5 buckets an octave
    static constexpr unsigned highest_bit = 30;  ///< 2^30 units are 137 s
    static constexpr std::size_t linear = std::size_t{1} << linear_bits;
    static constexpr std::size_t buckets = linear * (highest_bit - linear_bits + 1);

    /// The bucket of a duration; negative ones count as 0.
    static constexpr std::size_t bucket_of(std::chrono::nanoseconds value) noexcept {
        const auto units = value.count() <= 0 ? 0ULL : static_cast<std::uint64_t>(value.count()) >> unit_bits;
        if (units < linear) {
            return static_cast<std::size_t>(units);
        }
        const auto octave = static_cast<unsigned>(std::bit_width(units)) - 1;
        if (octave >= highest_bit) {
            return buckets - 1;
        }
        const auto shift = octave - linear_bits;
        return static_cast<std::size_t>((units >> shift) + linear * shift);
    }

    /// The shortest duration of a bucket.
    static constexpr std::chrono::nanoseconds lower_bound(std::size_t bucket) noexcept {
        if (bucket < 2 * linear) {
            return std::chrono::nanoseconds{static_cast<std::int64_t>(bucket) << unit_bits};
        }
        const auto shift = bucket / linear - 1;
        const auto units = (bucket - linear * shift) << shift;
        return std::chrono::nanoseconds{static_cast<std::int64_t>(units) << unit_bits};
    }

    /// The middle of a bucket: what a quantile reports.
    static constexpr std::chrono::nanoseconds middle(std::size_t bucket) noexcept {
        const auto next = bucket + 1 < buckets ? lower_bound(bucket + 1) : lower_bound(bucket);
        return (lower_bound(bucket) + next) / 2;
    }
};

/// A histogram as it stood at one moment. A plain value.
struct histogram_snapshot {
    std::uint64_t count = 0;             ///< durations counted
    std::chrono::nanoseconds sum{};      ///< of all of them
    std::chrono::nanoseconds longest{};  ///< exactly
    std::array<std::uint64_t, histogram_scale::buckets> counts{};

    /// Counts one duration; for one thread's own use.
    void record(std::chrono::nanoseconds value) noexcept;
    /// Adds another snapshot's counts.
    void merge(const histogram_snapshot& other) noexcept;
    /// The duration that the fraction `q` (0 to 1) did not exceed, within 1.6 % or 64 ns; 0 if nothing was
    /// counted. Above 137 s the longest is all that is known.
    [[nodiscard]] std::chrono::nanoseconds quantile(double q) const noexcept;
    [[nodiscard]] std::chrono::nanoseconds mean() const noexcept;
};

}  // namespace trunkline
