#pragma once

#include "limits.hpp"
#include "time.hpp"

#include <cstddef>
#include <deque>

namespace trunkline::core {

/// Why a dial failed, as far as the core cares.
enum class dial_failure : unsigned char {
    transient,      ///< the network, a server that is gone: knock again after the backoff
    full,           ///< the server has no room (53xxx): what is open goes on, one knocks at a steady pace
    starting,       ///< the server starts up (57P03): it will be there in a moment
    refused,        ///< user or password (28xxx): whoever waits is told at once
    misconfigured,  ///< the database or TLS: whoever waits is told at once, and nobody knocks in a hurry
    aborted,        ///< we gave it up ourselves
};

/// Whether no retry mends it, so that waiting is in vain.
constexpr bool is_final(dial_failure why) noexcept {
    return why == dial_failure::refused || why == dial_failure::misconfigured;
}

/// When a dial may begin and how many at a time: backoff, the pace of each kind of failure, the breaker against locked
/// accounts, and the slow start after an outage (SPEC RE-2 to RE-4, RE-6, RE-7). No clock: it is told the time.
class dial_gate {
public:
    /// The limits must outlive the gate and may change.
    explicit dial_gate(const limits& by) noexcept : limits_{by} {}

    [[nodiscard]] bool is_open() const noexcept { return opens_ == never; }
    /// When it opens; `never` if it is open.
    [[nodiscard]] time_point opens() const noexcept { return opens_; }
    /// Dials that may be under way together.
    [[nodiscard]] std::size_t parallel() const noexcept;
    /// The last dial failed.
    [[nodiscard]] bool is_probing() const noexcept { return failures_ > 0; }
    /// The last dial failed for good and its pause is not over: whoever waits without a connection open waits in vain.
    [[nodiscard]] bool is_hopeless() const noexcept { return is_probing() && is_final(cause_) && !is_open(); }
    /// The server has been down for longer than a new caller should be made to wait for.
    [[nodiscard]] bool fails_fast(time_point now) const noexcept;
    /// Why the last dial failed, while it is probing.
    [[nodiscard]] dial_failure cause() const noexcept { return cause_; }
    [[nodiscard]] bool breaker_is_open() const noexcept { return !is_open() && broken_; }

    void tick(time_point now) noexcept;
    /// `share` is drawn uniformly from 0 to 1: pools must not knock in step. Of dials that fail together the first one
    /// shuts the gate.
    void on_failure(dial_failure why, time_point now, double share);
    void on_success() noexcept;
    /// Other settings deserve a dial at once.
    void forgive() noexcept;

private:
    [[nodiscard]] bool trips_breaker(time_point now) noexcept;
    [[nodiscard]] nanoseconds pause_after(dial_failure why, double share) const noexcept;

    const limits& limits_;
    unsigned failures_ = 0;       // in a row, of any kind
    unsigned backoffs_ = 0;       // of those, the ones that double the wait
    std::size_t slow_start_ = 0;  // dials in parallel after an outage; 0: no limit of ours
    dial_failure cause_ = dial_failure::transient;
    bool broken_ = false;  // the pause is the breaker's
    time_point opens_ = never;
    time_point outage_since_ = never;
    std::deque<time_point> refusals_;  // within the breaker's window; at most `breaker_failures`
};

}  // namespace trunkline::core
