#pragma once

#include <cmath>
#include <cstdint>

namespace trunkline::stress {

/// SplitMix64: eight bytes of state, the same numbers on every platform. Each client has its own.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) noexcept : state_{seed} {}

    std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15U;
        auto mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
        return mixed ^ (mixed >> 31);
    }
    /// Evenly from [0, 1).
    double fraction() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    /// Evenly from [0, bound); `bound` is not 0. The bias is below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    /// Exponentially, with mean 1.
    double exponential() noexcept { return -std::log1p(-fraction()); }
    /// Normally, with mean 0 and deviation 1 (Box and Muller).
    double normal() noexcept {
        const double radius = std::sqrt(2 * exponential());
        return radius * std::cos(6.283185307179586 * fraction());
    }

private:
    std::uint64_t state_;
};

}  // namespace trunkline::stress
