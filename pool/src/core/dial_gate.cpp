#include "dial_gate.hpp"

#include "decisions.hpp"

#include <algorithm>
#include <new>

namespace trunkline::core {

std::size_t dial_gate::parallel() const noexcept {
    if (is_probing()) {
        return 1;
    }
    return slow_start_ == 0 ? limits_.max_connecting : std::min(limits_.max_connecting, slow_start_);
}

bool dial_gate::fails_fast(time_point now) const noexcept {
    return is_probing() && limits_.fail_fast_after && now >= after(outage_since_, *limits_.fail_fast_after);
}

void dial_gate::tick(time_point now) noexcept {
    if (opens_ <= now) {
        opens_ = never;
        broken_ = false;
    }
}

/// Without memory for another one this refusal is not counted.
bool dial_gate::trips_breaker(time_point now) noexcept {
    while (!refusals_.empty() && after(refusals_.front(), limits_.breaker_window) <= now) {
        refusals_.pop_front();
    }
    try {
        refusals_.push_back(now);
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (refusals_.size() < limits_.breaker_failures) {
        return false;
    }
    refusals_.clear();
    return true;
}

nanoseconds dial_gate::pause_after(dial_failure why, double share) const noexcept {
    const auto backoff = backoff_delay(backoffs_, limits_.backoff_initial, limits_.backoff_max, 0.5 + share / 2);
    switch (why) {
    case dial_failure::full: return limits_.full_retry;
    case dial_failure::starting: return limits_.starting_retry;
    case dial_failure::misconfigured: return std::max<nanoseconds>(backoff, limits_.misconfigured_retry);
    case dial_failure::transient:
    case dial_failure::refused:
    case dial_failure::aborted: break;
    }
    return backoff;
}

void dial_gate::on_failure(dial_failure why, time_point now, double share) {
    if (why == dial_failure::aborted) {
        return;
    }
    cause_ = why;
    slow_start_ = 1;
    outage_since_ = std::min(outage_since_, now);
    const bool trips = why == dial_failure::refused && trips_breaker(now);
    if (!is_open() && !trips) {
        return;
    }
    ++failures_;
    backoffs_ += why == dial_failure::full || why == dial_failure::starting ? 0 : 1;
    broken_ = trips;
    opens_ = now + (trips ? nanoseconds{limits_.breaker_pause} : pause_after(why, share));
}

void dial_gate::on_success() noexcept {
    if (slow_start_ != 0) {  // each success lets one more in: as many as were under way together, so that they double
        slow_start_ = slow_start_ >= limits_.max_connecting ? 0 : slow_start_ + 1;
    }
    forgive();
    refusals_.clear();
}

void dial_gate::forgive() noexcept {
    failures_ = 0;
    backoffs_ = 0;
    broken_ = false;
    opens_ = never;
    outage_since_ = never;
}

}  // namespace trunkline::core
