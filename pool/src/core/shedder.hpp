#pragma once

#include "time.hpp"

#include <algorithm>

namespace trunkline::core {

/// Whether callers wait too long for too long, by CoDel's rule: only when even the shortest wait of a whole interval was
/// above the target does the queue stand, and not merely swing (SPEC AQ-8).
class shedder {
public:
    /// Somebody was served after that wait.
    void on_served(nanoseconds wait, time_point now, nanoseconds target, nanoseconds interval) noexcept {
        advance(now, target, interval);
        shortest_ = std::min(shortest_, wait);
        if (wait <= target) {
            stands_ = false;
        }
    }
    /// Nobody waits: whatever was is over.
    void on_empty() noexcept {
        stands_ = false;
        ends_ = never;
    }
    /// Whether the queue has stood for the last whole interval.
    [[nodiscard]] bool stands(time_point now, nanoseconds target, nanoseconds interval) noexcept {
        advance(now, target, interval);
        return stands_;
    }

private:
    void advance(time_point now, nanoseconds target, nanoseconds interval) noexcept {
        if (ends_ == never) {
            ends_ = now + interval;
            shortest_ = nanoseconds::max();
        } else if (ends_ <= now) {
            stands_ = shortest_ > target;  // also when nobody was served at all
            ends_ = now + interval;
            shortest_ = nanoseconds::max();
        }
    }

    time_point ends_ = never;  // of the interval; `never`: none has begun
    nanoseconds shortest_ = nanoseconds::max();
    bool stands_ = false;
};

}  // namespace trunkline::core
