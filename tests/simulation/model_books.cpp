// OB-3: the machine's counters and states are the model's, and the identities hold.
#include "model.hpp"

namespace simulation {

using core::leave_reason;
using core::outcome;

void model::check_books() const {
    const auto& theirs = machine_.numbers();
    demand(theirs.connecting.value() == n(phase::connecting) && theirs.idle.value() == n(phase::idle) &&
               theirs.leased.value() == n(phase::leased) && theirs.resetting.value() == n(phase::resetting) &&
               theirs.closing.value() == n(phase::closing) && theirs.waiting.value() == queue_.size(),
           "the gauges are the sizes of the states");
    demand(theirs.max.value() == most() && theirs.min.value() == limits_.min, "the gauges carry the limits");
    check_slots();
    check_outcomes();
    check_closes();
    demand(machine_.lent_out() == leases_ && machine_.held() == leases_ + tasks_, "leases and tasks are counted");
}

void model::check_slots() const {
    std::size_t seen = 0;
    for (const auto& s : machine_.slots()) {
        const auto* l = static_cast<const line*>(s.connection);
        demand(l != nullptr && l->slot == &s, "each slot was dialed for");
        demand(static_cast<unsigned>(s.state) == static_cast<unsigned>(l->at),
               "a slot's state is what its events made it");
        demand(s.lent_out == l->lent, "a slot knows whether a lease holds it");
        demand(s.in_task == l->in_task, "a slot knows whether a task holds it");
        ++seen;
    }
    demand(seen == lines_.size(), "slots are never taken away");
}

void model::check_outcomes() const {
    const auto& theirs = machine_.numbers();
    const auto told = [&](outcome o) { return outcomes_[static_cast<std::size_t>(o)]; };
    demand(theirs.immediate.value() == tries_ && theirs.granted.value() == told(outcome::granted) &&
               theirs.timed_out.value() == told(outcome::timed_out) + told(outcome::suspended) &&
               theirs.rejected.value() == told(outcome::queue_full) + told(outcome::overloaded) &&
               theirs.overloaded.value() == told(outcome::overloaded) &&
               theirs.deadlocks.value() == told(outcome::would_deadlock) &&
               theirs.cancelled.value() == told(outcome::cancelled) &&
               theirs.failed.value() == told(outcome::would_deadlock) + told(outcome::unavailable) +
                                            told(outcome::auth_failed) + told(outcome::server_full) +
                                            told(outcome::refused) + told(outcome::closed),
           "the counters of outcomes are the outcomes");
    demand(calls_ == theirs.granted.value() + theirs.timed_out.value() + theirs.rejected.value() +
                         theirs.cancelled.value() + theirs.failed.value() + theirs.waiting.value(),
           "OB-3: every call is somewhere");
}

void model::check_closes() const {
    const auto& theirs = machine_.numbers();
    const auto left = [&](leave_reason r) { return left_[static_cast<std::size_t>(r)]; };
    demand(theirs.lost.value() == left(leave_reason::lost) && theirs.reaped_idle.value() == left(leave_reason::idle) &&
               theirs.reaped_old.value() == left(leave_reason::old) &&
               theirs.worn.value() == left(leave_reason::worn) &&
               theirs.discarded.value() == left(leave_reason::discarded) &&
               theirs.invalid.value() == left(leave_reason::invalid) &&
               theirs.unprepared.value() == left(leave_reason::unprepared) &&
               theirs.expired.value() == left(leave_reason::expired) &&
               theirs.retired.value() == left(leave_reason::retired) + left(leave_reason::surplus),
           "each close is counted by its reason");
    demand(theirs.cleanings.value() == cleanings_ && theirs.checks.value() == checks_ &&
               theirs.keepalives.value() == keepalives_ && theirs.leaks.value() == leaks_ &&
               theirs.detached.value() == detached_,
           "each task, leak and detached connection is counted");
    demand(theirs.dials.value() == dials_ && theirs.opened.value() == opened_ &&
               theirs.dials_failed.value() == dials_failed_,
           "each dial is counted");
    demand(dials_ == opened_ + dials_failed_ + theirs.connecting.value(), "OB-3: every dial is somewhere");
    demand(opened_ == live() + theirs.closing.value() + ended_ + detached_, "OB-3: every session is somewhere");
}

}  // namespace simulation
