#include "model.hpp"

#include <algorithm>

namespace simulation {

using core::leave_reason;
using core::slot_state;

namespace {

constexpr std::size_t lacking(std::size_t wanted, std::size_t have) { return wanted > have ? wanted - have : 0; }

}  // namespace

/// What is free, or about to be, and must not stay.
bool model::must_leave(const line& l) const {
    const bool too_old = punctual_ && l.old_at < now_;
    return closed_ || l.broken || l.generation != generation_ || live() > limits_.max || too_old;
}

bool model::may_close(const line& l, leave_reason why, const event& e) const {
    const bool returned = &l == subject_;
    const bool free = returned || l.at == phase::idle;
    switch (why) {
    case leave_reason::none: return false;
    case leave_reason::lost: return returned && l.broken;
    case leave_reason::idle:
        return !idle_.empty() && idle_.front() == &l && limits_.idle_timeout.count() > 0 &&
               l.idle_since + limits_.idle_timeout <= now_ && live() > limits_.min;
    case leave_reason::old: return free && l.old_from <= now_;
    case leave_reason::retired: return free && l.generation != generation_;
    case leave_reason::surplus: return free && live() > limits_.max;
    case leave_reason::discarded:
        return (l.at == phase::resetting && l.reset_deadline <= now_) ||
               (returned && (e.how == core::returned::spoilt || !e.well));
    case leave_reason::shutdown:
        return closed_ && (free || l.at == phase::resetting || (l.at == phase::leased && close_deadline_ <= now_));
    }
    return false;
}

void model::check(time_point armed) {
    if (live() <= limits_.min) {
        not_over_min_until_ = now_;
    }
    demand(queue_.empty() || idle_.empty(), "an idle connection and a waiter never both exist");
    if (closed_) {
        demand(queue_.empty(), "SH-1: nobody waits for a closed pool");
        demand(idle_.empty() && n(phase::resetting) == 0, "a closed pool keeps nothing that is free");
        demand(n(phase::leased) == 0 || armed <= close_deadline_,
               "the end of grace is among the reasons for the next tick");
        demand(finished_ == (total() == 0), "close ends when the last session has ended");
    }
    demand(!warming_ || live() < limits_.min, "a warm-up that is complete is told so");
    check_idle();
    check_dials();
    check_refusal();
    check_wake(armed);
    check_books();
}

void model::check_idle() const {
    if (idle_.empty()) {
        return;
    }
    demand(live() <= limits_.max, "SZ-9: what is surplus and idle is closed at once");
    for (const line* l : idle_) {
        demand(l->generation == generation_, "LC-9: what is retired and idle is closed at once");
    }
}

/// RE-11: who waits without a dial under way waits for a reason.
void model::check_dials() const {
    if (closed_ || !backoff_.surely_open() || total() >= limits_.max) {
        return;
    }
    const auto connecting = n(phase::connecting);
    const auto parallel = backoff_.maybe_probing() ? 1 : limits_.max_connecting;
    if (connecting < parallel) {
        demand(queue_.size() <= connecting, "RE-11: a waiter, room and an open gate mean a dial");
        demand(!started_ || lacking(limits_.min, live()) <= connecting,
               "SZ-3: the floor is restored without an acquire");
    }
}

/// A newcomer would be told at once: so are those who came before.
void model::check_refusal() const {
    if (refused_ && live() == 0 && backoff_.surely_shut() && now_ < backoff_.earliest()) {
        demand(queue_.empty(), "a refused login ends every wait that nothing open can serve");
    }
}

void model::check_wake(time_point armed) const {
    for (const call* c : queue_) {
        demand(armed <= c->deadline, "each deadline is among the reasons for the next tick");
    }
    for (const line& l : lines_) {
        demand(l.at != phase::resetting || armed <= l.reset_deadline,
               "each rollback's deadline is among the reasons for the next tick");
    }
    demand(!warming_ || armed <= warm_up_deadline_, "the warm-up's deadline is among the reasons for the next tick");
}

/// When ticks come as asked for, nothing is left undone past its time. Asked before an event is handled: whatever was
/// due earlier has been done.
void model::check_nothing_overdue() const {
    for (const call* c : queue_) {
        demand(now_ <= c->deadline, "AQ-5: nobody waits beyond the deadline");
    }
    for (const line& l : lines_) {
        demand(l.at != phase::resetting || now_ <= l.reset_deadline, "HY-1: no rollback takes longer than its time");
        demand(l.at != phase::idle || now_ <= l.old_at, "LC-1: what is too old and idle is closed");
    }
    if (!idle_.empty() && limits_.idle_timeout.count() > 0 && live() > limits_.min) {
        const auto due = std::max(idle_.front()->idle_since, settings_since_) + limits_.idle_timeout;
        demand(now_ <= std::max(due, not_over_min_until_) + std::chrono::nanoseconds{limits_.idle_timeout} / 8,
               "SZ-8: what is idle too long is closed at most an eighth late");
    }
    demand(!warming_ || now_ <= warm_up_deadline_, "the warm-up ends at its deadline");
    demand(n(phase::leased) == 0 || now_ <= close_deadline_, "SH-2: leases end with the time of grace");
}

/// OB-3: the machine's counters and states are the model's, and the identities hold.
void model::check_books() const {
    const auto& theirs = machine_.numbers();
    std::size_t seen = 0;
    for (const auto& s : machine_.slots()) {
        const auto* l = static_cast<const line*>(s.connection);
        demand(l != nullptr && l->slot == &s, "each slot was dialed for");
        demand(static_cast<unsigned>(s.state) == static_cast<unsigned>(l->at),
               "a slot's state is what its events made it");
        demand(s.lent_out == l->lent, "a slot knows whether a lease holds it");
        ++seen;
    }
    demand(seen == lines_.size(), "slots are never taken away");
    demand(theirs.connecting.value() == n(phase::connecting) && theirs.idle.value() == n(phase::idle) &&
               theirs.leased.value() == n(phase::leased) && theirs.resetting.value() == n(phase::resetting) &&
               theirs.closing.value() == n(phase::closing) && theirs.waiting.value() == queue_.size(),
           "the gauges are the sizes of the states");
    demand(theirs.max.value() == limits_.max && theirs.min.value() == limits_.min, "the gauges carry the limits");
    const auto told = [&](core::outcome o) { return outcomes_[static_cast<std::size_t>(o)]; };
    using core::outcome;
    demand(theirs.immediate.value() == tries_ && theirs.granted.value() == told(outcome::granted) &&
               theirs.timed_out.value() == told(outcome::timed_out) &&
               theirs.rejected.value() == told(outcome::queue_full) &&
               theirs.cancelled.value() == told(outcome::cancelled) &&
               theirs.failed.value() == told(outcome::unavailable) + told(outcome::closed),
           "the counters of outcomes are the outcomes");
    demand(calls_ == theirs.granted.value() + theirs.timed_out.value() + theirs.rejected.value() +
                         theirs.cancelled.value() + theirs.failed.value() + theirs.waiting.value(),
           "every call is somewhere");
    const auto left = [&](leave_reason r) { return left_[static_cast<std::size_t>(r)]; };
    demand(theirs.lost.value() == left(leave_reason::lost) && theirs.reaped_idle.value() == left(leave_reason::idle) &&
               theirs.reaped_old.value() == left(leave_reason::old) &&
               theirs.discarded.value() == left(leave_reason::discarded) &&
               theirs.retired.value() == left(leave_reason::retired) + left(leave_reason::surplus) &&
               theirs.rollbacks.value() == rollbacks_,
           "each close is counted by its reason");
    demand(theirs.dials.value() == dials_ && theirs.opened.value() == opened_ &&
               theirs.dials_failed.value() == dials_failed_,
           "each dial is counted");
    demand(dials_ == opened_ + dials_failed_ + theirs.connecting.value(), "every dial is somewhere");
    demand(opened_ == live() + theirs.closing.value() + ended_, "every session is somewhere");
    demand(machine_.lent_out() == leases_, "the leases are counted");
}

}  // namespace simulation
