#include "scenario.hpp"

#include <algorithm>

namespace simulation {

namespace {

std::chrono::milliseconds ms(dice& d, std::int64_t low, std::int64_t high) {
    return std::chrono::milliseconds{d.between(low, high)};
}

/// A chance that is nil in some runs and dominates others.
unsigned some(dice& d, unsigned often) {
    switch (d.between(0, 3)) {
    case 0: return 0;
    case 1: return often;
    default: return static_cast<unsigned>(d.between(0, often));
    }
}

/// 0, which turns something off, or a time.
std::chrono::milliseconds maybe_ms(dice& d, unsigned off, std::int64_t low, std::int64_t high) {
    return d.chance(off) ? std::chrono::milliseconds{0} : ms(d, low, high);
}

void draw_pace(dice& d, trunkline::core::limits& l) {
    l.max_connecting = d.size(1, 4);
    l.anticipation = maybe_ms(d, 50, 1, 20);
    l.backoff_initial = ms(d, 1, 40);
    l.backoff_max = l.backoff_initial * d.between(1, 20);
    l.full_retry = ms(d, 1, 60);
    l.starting_retry = ms(d, 1, 30);
    l.misconfigured_retry = ms(d, 1, 80);
    l.breaker_failures = d.size(1, 4);
    l.breaker_window = ms(d, 1, 300);
    l.breaker_pause = ms(d, 1, 200);
    if (d.chance(40)) {
        l.fail_fast_after = maybe_ms(d, 30, 1, 100);
    }
}

void draw_ages(dice& d, trunkline::core::limits& l) {
    l.idle_timeout = maybe_ms(d, 30, 8, 400);
    l.max_lifetime = maybe_ms(d, 40, std::max<std::int64_t>(10, l.idle_timeout.count() + 1), 800);
    l.keepalive = maybe_ms(d, 60, 2, 200);
    l.max_uses = d.chance(70) ? 0 : d.size(1, 6);
    if (d.chance(60)) {
        l.validate_after = maybe_ms(d, 25, 1, 60);
    }
    l.lease_timeout = maybe_ms(d, 70, 1, 120);
    l.leak_threshold = maybe_ms(d, 60, 1, 100);
}

}  // namespace

trunkline::core::limits draw_limits(dice& d) {
    trunkline::core::limits l;
    l.max = d.size(1, d.chance(50) ? 3 : 8);
    l.min = d.chance(30) ? 0 : d.size(0, l.max);
    l.min_idle = d.chance(70) ? 0 : d.size(0, l.max);
    l.max_waiting = d.chance(30) ? d.size(1, 4) : 1000;
    l.first_in_first_out = d.chance(30);
    l.shed_target = maybe_ms(d, 70, 1, 10);
    l.shed_interval = ms(d, 1, 60);
    draw_pace(d, l);
    draw_ages(d, l);
    l.prepares = d.chance(30);
    l.checks_each = d.chance(25);
    l.cleans_each = d.chance(25);
    l.says_farewell = d.chance(30);
    l.clean_timeout = ms(d, 1, 60);
    l.check_timeout = ms(d, 1, 30);
    l.prepare_timeout = ms(d, 1, 60);
    l.farewell_timeout = ms(d, 1, 30);
    l.before_acquire_timeout = ms(d, 1, 30);
    l.after_release_timeout = ms(d, 1, 30);
    return l;
}

scenario draw_scenario(dice& d) {
    const auto up_to = [&](std::int64_t longest_ms) { return microseconds{d.between(1, longest_ms * 1000)}; };
    scenario s;
    s.limits = draw_limits(d);
    s.clients = d.size(1, d.chance(50) ? 5 : 16);
    s.steps = d.size(60, 900);
    s.started = d.chance(70);
    s.patient = d.chance(30);
    s.punctual = d.chance(75);
    s.grain = microseconds{d.chance(50) ? 1000 : 1};
    s.think = up_to(d.chance(40) ? 5 : d.chance(60) ? 200 : 2000);
    s.hold = up_to(d.chance(50) ? 10 : 100);
    s.patience = d.chance(20) ? microseconds{0} : up_to(d.chance(40) ? 5 : 300);
    s.carry = d.chance(30) ? microseconds{0} : up_to(10);
    s.connect = up_to(30);
    s.connect_timeout = microseconds{d.between(20'000, 200'000)};
    s.closing = up_to(d.chance(70) ? 5 : 100);
    s.calm = d.chance(35) ? microseconds{0} : up_to(300);
    s.meddling = d.chance(50) ? microseconds{0} : up_to(300);
    s.cancels = some(d, 60);
    s.tries = some(d, 30);
    s.nests = some(d, 60);
    s.unclean = some(d, 60);
    s.spoilt = some(d, 40);
    s.detaches = some(d, 15);
    s.deaths = some(d, 50);
    s.ended_by_server = some(d, 60);
    s.hangs = some(d, 30);
    s.starved = some(d, 30);
    s.task_fails = some(d, 40);
    s.elsewhere = some(d, 50);
    s.refusals = some(d, 30);
    return s;
}

}  // namespace simulation
