// The machine's steps: what its events have in common.
#include "machine.hpp"

#include <algorithm>
#include <cassert>

namespace trunkline::core {

counter& machine::gauge(slot_state of) noexcept {
    switch (of) {
    case slot_state::connecting: return numbers_.connecting;
    case slot_state::idle: return numbers_.idle;
    case slot_state::leased: return numbers_.leased;
    case slot_state::resetting: return numbers_.resetting;
    case slot_state::closing: return numbers_.closing;
    case slot_state::vacant: break;
    }
    assert(false && "a vacant slot is not counted");
    return numbers_.closing;
}

void machine::move(slot& s, slot_state to) noexcept {
    if (s.state != slot_state::vacant) {
        --gauge(s.state);
    }
    if (to != slot_state::vacant) {
        ++gauge(to);
    }
    if (to == slot_state::leased) {
        s.lent_out = true;
        ++lent_out_;
    }
    s.state = to;
}

std::size_t machine::live() const noexcept {
    return numbers_.idle.value() + numbers_.leased.value() + numbers_.resetting.value();
}

std::size_t machine::total() const noexcept { return live() + numbers_.connecting.value() + numbers_.closing.value(); }

void machine::settle(waiter& w, outcome how, actions& out) noexcept {
    assert(w.result == outcome::pending && how != outcome::pending);
    w.result = how;
    out.settled.push_back(w);
    switch (how) {
    case outcome::pending: break;
    case outcome::granted: ++numbers_.granted; break;
    case outcome::timed_out: ++numbers_.timed_out; break;
    case outcome::cancelled: ++numbers_.cancelled; break;
    case outcome::queue_full: ++numbers_.rejected; break;
    case outcome::unavailable: ++numbers_.failed; break;
    case outcome::closed: ++numbers_.failed; break;
    }
}

void machine::settle_all(outcome how, actions& out) noexcept {
    while (!queue_.empty()) {
        waiter& w = queue_.pop();
        --numbers_.waiting;
        settle(w, how, out);
    }
}

/// To the one who has waited longest, or onto the idle stack.
void machine::free_for_next(slot& s, actions& out) {
    s.idle_since = never;
    if (queue_.empty()) {
        move(s, slot_state::idle);
        idle_.push_front(s);
        return;
    }
    waiter& first = queue_.pop();
    --numbers_.waiting;
    first.granted = &s;
    move(s, slot_state::leased);
    settle(first, outcome::granted, out);
}

void machine::leave(slot& s, leave_reason why, actions& out) {
    switch (why) {
    case leave_reason::none: assert(false); break;
    case leave_reason::lost: ++numbers_.lost; break;
    case leave_reason::idle: ++numbers_.reaped_idle; break;
    case leave_reason::old: ++numbers_.reaped_old; break;
    case leave_reason::retired:
    case leave_reason::surplus: ++numbers_.retired; break;
    case leave_reason::discarded: ++numbers_.discarded; break;
    case leave_reason::shutdown: break;
    }
    s.doomed = leave_reason::none;
    move(s, slot_state::closing);
    out.commands.push_back({command_kind::close, &s, why});
}

/// The session is gone.
void machine::vacate(slot& s) noexcept {
    move(s, slot_state::vacant);
    make_vacant_if_free(s);
}

/// A slot that a lease or a rollback still points to is taken again only when that has ended.
void machine::make_vacant_if_free(slot& s) noexcept {
    if (s.state == slot_state::vacant && !s.lent_out && !s.rolling_back) {
        vacant_.push_front(s);
    }
}

leave_reason machine::reason_to_leave(const slot& s) const noexcept {
    if (s.doomed != leave_reason::none) {
        return s.doomed;
    }
    if (closed_) {
        return leave_reason::shutdown;
    }
    if (s.generation != generation_) {
        return leave_reason::retired;
    }
    const std::size_t joining = s.state == slot_state::connecting ? 1 : 0;
    if (live() + joining > limits_.max) {
        return leave_reason::surplus;
    }
    return leave_reason::none;
}

/// Closes the idle connections that have a reason to leave, the longest unused first.
void machine::retire_idle(actions& out) {
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        slot& s = *at;
        const auto why = reason_to_leave(s);
        if (why != leave_reason::none) {
            at = idle_.erase(at);
            leave(s, why, out);
        }
    }
}

void machine::close_lent_out(actions& out) {
    for (slot& s : slots_) {
        if (s.state == slot_state::leased) {
            leave(s, leave_reason::shutdown, out);
        }
    }
}

/// Looks at ages and at what lies idle. The release path reads no clock: a connection found idle for the first time is
/// taken to be idle from now on, so that it is never closed too early, and at most one interval too late.
void machine::sweep(time_point now, actions& out) {
    time_point next = never;
    for (slot& s : slots_) {
        const bool in_use = s.state == slot_state::leased || s.state == slot_state::resetting;
        if (in_use && s.retire_at <= now && s.doomed == leave_reason::none) {
            s.doomed = leave_reason::old;
        } else if (s.state == slot_state::idle && s.retire_at <= now) {
            idle_.erase(idle_.iterator_to(s));
            leave(s, leave_reason::old, out);
        } else if (s.retire_at > now && s.state != slot_state::vacant) {
            next = std::min(next, s.retire_at);
        }
    }
    next = std::min(next, reap_idle(now, out));
    const auto each = sweep_interval(limits_.idle_timeout);
    next_sweep_ = each.count() > 0 && live() > 0 ? std::min(next, now + each) : next;
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
        if (s.idle_since == never) {
            s.idle_since = now;
        }
        const auto due = s.idle_since + limits_.idle_timeout;
        if (due > now) {
            next = std::min(next, due);
        } else if (live() > limits_.min) {
            at = idle_.erase(at);
            leave(s, leave_reason::idle, out);
        }
    }
    return next;
}

void machine::shut_gate(time_point now) {
    ++failures_;
    gate_opens_ =
        now + backoff_delay(failures_, limits_.backoff_initial, limits_.backoff_max, 0.5 + random_share() / 2);
}

slot& machine::vacant_slot() {
    if (vacant_.empty()) {
        return slots_.emplace_back();
    }
    slot& s = vacant_.front();
    vacant_.pop_front();
    return s;
}

void machine::dial(actions& out) {
    if (closed_ || gate_opens_ != never || total() >= limits_.max) {  // the last: what is usual when callers wait
        return;
    }
    auto wanted = dials_wanted({
        .waiting = queue_.size(),
        .connecting = numbers_.connecting.value(),
        .live = live(),
        .total = total(),
        .floor = started_ ? limits_.min : 0,
        .max = limits_.max,
        .max_connecting = limits_.max_connecting,
        .probing = failures_ > 0,
    });
    for (; wanted > 0; --wanted) {
        slot& s = vacant_slot();
        s.generation = generation_;
        s.opened_at = never;
        s.retire_at = never;
        s.doomed = leave_reason::none;
        move(s, slot_state::connecting);
        ++numbers_.dials;
        out.commands.push_back({command_kind::dial, &s});
    }
}

time_point machine::next_wake() const noexcept {
    auto next = std::min({queue_.first_deadline(), gate_opens_, next_sweep_, close_deadline_});
    if (warming_) {
        next = std::min(next, warm_up_deadline_);
    }
    if (!resetting_.empty()) {
        next = std::min(next, resetting_.front().reset_deadline);
    }
    return next;
}

/// The end of every event that may have changed what to do next.
void machine::conclude(actions& out) {
    if (refused_ && gate_opens_ != never && live() == 0) {  // nothing open may come back to those who wait
        settle_all(outcome::unavailable, out);
    }
    dial(out);
    out.wake = closed_ && total() == 0 ? never : next_wake();
    if (closed_ && total() == 0 && !finished_) {
        finished_ = true;
        out.finished = true;
    }
}

void machine::check() const {
    assert(idle_.empty() || queue_.empty());
    std::size_t lent = 0;
    std::size_t by_state[6] = {};
    for (const slot& s : slots_) {
        ++by_state[static_cast<std::size_t>(s.state)];
        lent += s.lent_out ? 1 : 0;
        assert(s.state != slot_state::leased || s.lent_out);
    }
    const auto n = [&](slot_state s) { return by_state[static_cast<std::size_t>(s)]; };
    assert(n(slot_state::connecting) == numbers_.connecting.value());
    assert(n(slot_state::idle) == numbers_.idle.value() && n(slot_state::idle) == idle_.size());
    assert(n(slot_state::leased) == numbers_.leased.value());
    assert(n(slot_state::resetting) == numbers_.resetting.value() && n(slot_state::resetting) == resetting_.size());
    assert(n(slot_state::closing) == numbers_.closing.value());
    assert(queue_.size() == numbers_.waiting.value());
    assert(lent == lent_out_);
    (void)lent;
    (void)n;
}

}  // namespace trunkline::core
