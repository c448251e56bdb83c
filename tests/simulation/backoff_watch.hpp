#pragma once

#include "core/limits.hpp"
#include "core/machine.hpp"

#include <cstddef>
#include <deque>

namespace simulation {

using trunkline::core::dial_failure;
using trunkline::core::time_point;

/// What an observer who does not know the jitter can say about the gate that dials pass: bounds of the moment at which
/// they may go on, and how many at a time. SPEC RE-2 to RE-4, RE-6, RE-7, RE-11.
class backoff_watch {
public:
    explicit backoff_watch(const trunkline::core::limits& given) : limits_{&given} {}

    /// Other settings came: the count begins anew.
    void forgive();
    /// The server let somebody in.
    void on_success();
    void on_failure(dial_failure why, time_point now);
    void on_tick(time_point now);
    /// A dial was begun: legal only while the gate may be open, and only so often since the first failure.
    void on_dial(time_point now);
    /// The machine asked for its next tick at `armed`. A shut gate must be among its reasons.
    void on_armed(time_point armed, bool punctual, time_point now);

    [[nodiscard]] bool surely_open() const noexcept { return !maybe_shut_; }
    [[nodiscard]] bool surely_shut() const noexcept { return surely_shut_; }
    [[nodiscard]] bool probing() const noexcept { return probing_; }
    [[nodiscard]] dial_failure cause() const noexcept { return cause_; }
    [[nodiscard]] std::size_t parallel() const noexcept;
    [[nodiscard]] bool fails_fast(time_point now) const noexcept;
    [[nodiscard]] time_point earliest() const noexcept { return earliest_; }

private:
    struct range {
        std::chrono::nanoseconds least, most;
    };
    [[nodiscard]] std::chrono::nanoseconds full_delay(unsigned failures) const;
    [[nodiscard]] range pause(dial_failure why, unsigned least, unsigned most) const;
    [[nodiscard]] bool trips(time_point now);

    const trunkline::core::limits* limits_;
    unsigned least_ = 0;  // failures that double the wait; of those that happen together only the first counts, and
    unsigned most_ = 0;   // which do is not always known
    bool probing_ = false;
    dial_failure cause_ = dial_failure::transient;
    std::size_t slow_start_ = 0;
    std::deque<time_point> refusals_;
    bool maybe_shut_ = false;
    bool surely_shut_ = false;
    time_point earliest_{};  // the gate opens between these two
    time_point latest_{};
    time_point first_failure_{};
    bool backoff_alone_ = true;               // no failure of this outage has a pace of its own
    unsigned probes_ = 0;                     // dials since the first failure
    std::chrono::nanoseconds probe_after_{};  // the sum of the shortest waits before the next probe
};

}  // namespace simulation
