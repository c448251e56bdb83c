// The machine's sweeps. The paths of acquire and release read no clock: what is found idle or leased for the first time
// is taken to be so from now on. So nothing ends too early, and everything at most one interval too late.
#include "machine.hpp"

#include <algorithm>

namespace trunkline::core {

void machine::sweep(time_point now, actions& out) {
    if (rotate_from_ <= now) {
        rotate_from_ = never;
        rotating_ = true;
    }
    time_point next = rotate_from_;
    for (slot& s : slots_) {
        switch (s.state) {
        case slot_state::vacant:
        case slot_state::connecting:
        case slot_state::closing: continue;
        case slot_state::leased: next = std::min(next, look_at_lease(s, now, out)); break;
        case slot_state::idle: next = std::min(next, look_at_idle(s, now, out)); break;
        case slot_state::resetting: break;
        }
        if (s.state == slot_state::closing) {
            continue;
        }
        const auto due = due_at(s);
        rotating_ = rotating_ || is_due(s);
        next = due > now ? std::min(next, due) : next;
    }
    next = std::min(next, reap_idle(now, out));
    const auto each = sweep_interval(limits_);
    next_sweep_ = each.count() > 0 && live() > 0 ? std::min(next, now + each) : next;
}

/// Each returns when it is to be looked at again.
time_point machine::look_at_lease(slot& s, time_point now, actions& out) {
    if (s.leased_since == never || s.seen_use != s.uses) {
        s.seen_use = s.uses;
        s.leased_since = now;
        s.reported = false;
    }
    time_point next = never;
    if (limits_.leak_threshold.count() > 0 && !s.reported) {
        const auto due = after(s.leased_since, limits_.leak_threshold);
        if (due <= now) {
            s.reported = true;
            ++numbers_.leaks;
            order({command_kind::report_leak, &s}, out);
        } else {
            next = due;
        }
    }
    if (limits_.lease_timeout.count() > 0) {
        const auto due = after(s.leased_since, limits_.lease_timeout);
        if (due <= now) {
            leave(s, leave_reason::expired, out);
        } else {
            next = std::min(next, due);
        }
    }
    return next;
}

time_point machine::look_at_idle(slot& s, time_point now, actions& out) {
    if (s.idle_since == never) {
        s.idle_since = now;
    }
    time_point next = never;
    const auto alive = s.alive_at == never ? s.idle_since : std::max(s.alive_at, s.idle_since);
    if (limits_.validate_after && !s.stale) {
        const auto due = after(alive, *limits_.validate_after);
        s.stale = due <= now;
        next = s.stale ? next : due;
    }
    const auto due = next_keepalive(alive, limits_.keepalive, s.keepalive_share);
    if (due <= now && queue_.empty() && !suspended_) {
        idle_.erase(idle_.iterator_to(s));
        begin(s, task::keepalive, limits_.check_timeout, out);
        return next;
    }
    return due > now ? std::min(next, due) : next;
}

/// Returns when the next of those that stay will have been idle too long.
time_point machine::reap_idle(time_point now, actions& out) {
    time_point next = never;
    if (limits_.idle_timeout.count() == 0) {
        return next;
    }
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        slot& s = *at;
        const auto due = after(s.idle_since, limits_.idle_timeout);
        if (due > now) {
            next = std::min(next, due);
        } else if (live() > limits_.min && numbers_.idle.value() > limits_.min_idle) {
            at = idle_.erase(at);
            leave(s, leave_reason::idle, out);
        }
    }
    return next;
}

}  // namespace trunkline::core
