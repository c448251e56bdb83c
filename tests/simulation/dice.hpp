#pragma once

#include <cstdint>

namespace simulation {

/// Everything random in a run comes from one of these: the same seed throws the same dice on every machine, which the
/// standard library's distributions do not promise. SplitMix64.
class dice {
public:
    explicit dice(std::uint64_t seed) noexcept : state_{seed * 0x9E3779B97F4A7C15ULL + 0xD1B54A32D192ED03ULL} {}

    std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15ULL;
        auto z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }

    /// From `low` to `high`, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
        return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
    }

    std::size_t size(std::size_t low, std::size_t high) noexcept {
        return low + static_cast<std::size_t>(next() % (high - low + 1));
    }

    bool chance(unsigned percent) noexcept { return next() % 100 < percent; }

private:
    std::uint64_t state_;
};

}  // namespace simulation
