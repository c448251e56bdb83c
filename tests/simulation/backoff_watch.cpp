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

void backoff_watch::forgive() {
    least_failures_ = most_failures_ = probes_ = 0;
    maybe_shut_ = surely_shut_ = false;
    probe_after_ = {};
}

void backoff_watch::on_failure(time_point now) {
    if (most_failures_ == 0) {
        first_failure_ = now;
        probe_after_ = full_delay(1) / 2;
    }
    if (surely_shut_) {
        return;
    }
    ++most_failures_;
    if (maybe_shut_) {  // either this one shut the gate, or it was shut still
        latest_ = std::max(latest_, now + full_delay(most_failures_));
    } else {
        ++least_failures_;
        earliest_ = now + full_delay(least_failures_) / 2;
        latest_ = now + full_delay(most_failures_);
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
    demand(!surely_shut_, "RE-2: a dial begins only when the backoff is over");
    maybe_shut_ = false;
    if (most_failures_ > 0) {
        demand(now - first_failure_ >= probe_after_, "RE-3: an outage sees no more dials than the backoff allows");
        ++probes_;
        probe_after_ += full_delay(probes_ + 1) / 2;
    }
}

void backoff_watch::on_armed(time_point armed, bool punctual, time_point now) {
    if (!maybe_shut_) {
        return;
    }
    if (surely_shut_) {
        demand(armed <= latest_, "a backoff is among the reasons for the next tick");
    } else if (armed > latest_ || (punctual && now > latest_)) {
        maybe_shut_ = false;  // a shut gate would have asked for a tick
    }
}

}  // namespace simulation
