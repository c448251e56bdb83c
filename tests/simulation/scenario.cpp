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

}  // namespace

trunkline::core::limits draw_limits(dice& d) {
    trunkline::core::limits l;
    l.max = d.size(1, d.chance(50) ? 3 : 8);
    l.min = d.chance(30) ? 0 : d.size(0, l.max);
    l.max_connecting = d.size(1, 4);
    l.max_waiting = d.chance(30) ? d.size(1, 4) : 1000;
    l.backoff_initial = ms(d, 1, 40);
    l.backoff_max = l.backoff_initial * d.between(1, 20);
    l.idle_timeout = d.chance(30) ? std::chrono::milliseconds{0} : ms(d, 8, 400);
    l.max_lifetime = d.chance(40) ? std::chrono::milliseconds{0}
                                  : ms(d, std::max<std::int64_t>(10, l.idle_timeout.count() + 1), 800);
    l.rollback_timeout = ms(d, 1, 60);
    return l;
}

scenario draw_scenario(dice& d) {
    const auto up_to = [&](std::int64_t longest_ms) { return microseconds{d.between(1, longest_ms * 1000)}; };
    scenario s;
    s.limits = draw_limits(d);
    s.clients = d.size(1, d.chance(50) ? 5 : 16);
    s.steps = d.size(60, 900);
    s.started = d.chance(70);
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
    s.in_transaction = some(d, 60);
    s.spoilt = some(d, 40);
    s.deaths = some(d, 50);
    s.hangs = some(d, 30);
    s.reset_fails = some(d, 40);
    return s;
}

}  // namespace simulation
