#include "backoff_watch.hpp"

#include "rule.hpp"

#include <algorithm>

namespace simulation {

std::chrono::nanoseconds backoff_watch::full_delay(unsigned failures) const {
    std::chrono::nanoseconds delay = limits_->backoff_initial;
    for (unsigned i = 1; i < failures && delay < limits_->backoff_max; ++i) {
        delay *= 2;
    }
    return std::min<std::chrono::nanoseconds>(delay, limits_->backoff_max);
}

backoff_watch::range backoff_watch::pause(dial_failure why, unsigned least, unsigned most) const {
    const range backoff{full_delay(least) / 2, full_delay(most)};
    const std::chrono::nanoseconds full{limits_->full_retry};
    const std::chrono::nanoseconds starting{limits_->starting_retry};
    const std::chrono::nanoseconds misconfigured{limits_->misconfigured_retry};
    switch (why) {
    case dial_failure::full: return {full, full};
    case dial_failure::starting: return {starting, starting};
    case dial_failure::misconfigured:
        return {std::max(backoff.least, misconfigured), std::max(backoff.most, misconfigured)};
    case dial_failure::transient:
    case dial_failure::refused:
    case dial_failure::aborted: break;
    }
    return backoff;
}

std::size_t backoff_watch::parallel() const noexcept {
    if (probing_) {
        return 1;
    }
    return slow_start_ == 0 ? limits_->max_connecting : std::min(slow_start_, limits_->max_connecting);
}

bool backoff_watch::fails_fast(time_point now) const noexcept {
    return probing_ && limits_->fail_fast_after && first_failure_ + *limits_->fail_fast_after <= now;
}

void backoff_watch::forgive() {
    least_ = most_ = probes_ = 0;
    probing_ = maybe_shut_ = surely_shut_ = false;
    backoff_alone_ = true;
    probe_after_ = {};
}

void backoff_watch::on_success() {
    forgive();
    refusals_.clear();
    if (slow_start_ > 0) {
        slow_start_ = slow_start_ >= limits_->max_connecting ? 0 : slow_start_ + 1;
    }
}

bool backoff_watch::trips(time_point now) {
    const auto over = [&](time_point t) { return t + limits_->breaker_window <= now; };
    refusals_.erase(std::remove_if(refusals_.begin(), refusals_.end(), over), refusals_.end());
    refusals_.push_back(now);
    if (refusals_.size() < limits_->breaker_failures) {
        return false;
    }
    refusals_.clear();
    return true;
}

void backoff_watch::on_failure(dial_failure why, time_point now) {
    if (why == dial_failure::aborted) {
        return;
    }
    const bool flat = why == dial_failure::full || why == dial_failure::starting;
    if (!probing_) {
        first_failure_ = now;
        probe_after_ = full_delay(1) / 2;
    }
    backoff_alone_ = backoff_alone_ && !flat;
    probing_ = true;
    cause_ = why;
    slow_start_ = 1;
    const bool breaks = why == dial_failure::refused && trips(now);
    if (surely_shut_ && !breaks) {
        return;
    }
    most_ += flat ? 0 : 1;
    if (breaks) {
        backoff_alone_ = false;
        least_ += 1;
        earliest_ = latest_ = now + limits_->breaker_pause;
    } else if (maybe_shut_) {  // either this one shut the gate, or it was shut still
        latest_ = std::max(latest_, now + pause(why, least_, most_).most);
    } else {
        least_ += flat ? 0 : 1;
        const auto wait = pause(why, least_, most_);
        earliest_ = now + wait.least;
        latest_ = now + wait.most;
    }
    maybe_shut_ = surely_shut_ = true;
}

void backoff_watch::on_tick(time_point now) {
    if (!maybe_shut_) {
        return;
    }
    if (now >= latest_) {
        maybe_shut_ = surely_shut_ = false;
    } else if (now >= earliest_) {
        surely_shut_ = false;
    }
}

void backoff_watch::on_dial(time_point now) {
    demand(!surely_shut_, "RE-2, RE-7: a dial begins only when the pause after a failure is over");
    maybe_shut_ = false;
    if (probing_) {
        demand(!backoff_alone_ || now - first_failure_ >= probe_after_,
               "RE-3: an outage sees no more dials than the backoff allows");
        ++probes_;
        probe_after_ += full_delay(probes_ + 1) / 2;
    }
}

void backoff_watch::on_armed(time_point armed, bool punctual, time_point now) {
    if (!maybe_shut_) {
        return;
    }
    if (surely_shut_) {
        demand(armed <= latest_, "a pause after a failure is among the reasons for the next tick");
    } else if (armed > latest_ || (punctual && now > latest_)) {
        maybe_shut_ = false;  // a shut gate would have asked for a tick
    }
}

}  // namespace simulation
