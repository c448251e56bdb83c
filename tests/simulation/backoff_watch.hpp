#pragma once

#include "core/limits.hpp"
#include "core/machine.hpp"

#include <cstddef>

namespace simulation {

using trunkline::core::time_point;

/// What an observer who does not know the jitter can say about the backoff: bounds of the moment at which dials may
/// go on. SPEC RE-2, RE-3, RE-11.
class backoff_watch {
public:
    explicit backoff_watch(const trunkline::core::limits& given) : limits_{&given} {}

    /// The server let somebody in, or other settings came: the count begins anew.
    void forgive();
    void on_failure(time_point now);
    void on_tick(time_point now);
    /// A dial was begun: legal only while the gate may be open, and only so often since the first failure.
    void on_dial(time_point now);
    /// The machine asked for its next tick at `armed`. A shut gate must be among its reasons.
    void on_armed(time_point armed, bool punctual, time_point now);

    [[nodiscard]] bool surely_open() const noexcept { return !maybe_shut_; }
    [[nodiscard]] bool surely_shut() const noexcept { return surely_shut_; }
    [[nodiscard]] bool surely_probing() const noexcept { return least_failures_ > 0; }
    [[nodiscard]] bool maybe_probing() const noexcept { return most_failures_ > 0; }
    [[nodiscard]] time_point earliest() const noexcept { return earliest_; }

private:
    [[nodiscard]] std::chrono::nanoseconds full_delay(unsigned failures) const;

    const trunkline::core::limits* limits_;
    unsigned least_failures_ =
        0;  // of dials that fail together only the first counts, and which do is not always known
    unsigned most_failures_ = 0;
    bool maybe_shut_ = false;
    bool surely_shut_ = false;
    time_point earliest_{};  // the gate opens between these two
    time_point latest_{};
    time_point first_failure_{};
    unsigned probes_ = 0;                     // dials since the first failure
    std::chrono::nanoseconds probe_after_{};  // the sum of the shortest waits before the next probe
};

}  // namespace simulation
