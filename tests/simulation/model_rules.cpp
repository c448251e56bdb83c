// What must hold whenever an event has been handled.
#include "model.hpp"

#include <algorithm>

namespace simulation {

using core::task;

namespace {

constexpr std::size_t lacking(std::size_t wanted, std::size_t have) { return wanted > have ? wanted - have : 0; }

/// The machine looks at ages so often.
std::chrono::nanoseconds look(std::chrono::nanoseconds kept) {
    return std::max<std::chrono::nanoseconds>(kept / 8, std::chrono::milliseconds{1});
}

}  // namespace

void model::conclude(const core::actions& out, const event& e) {
    const auto why = backoff_.cause();
    if (out.warmed == core::warm_up::complete) {
        constexpr std::size_t rotated = 1;  // one may have made way since
        demand(warming_ && live() + rotated >= std::min(limits_.min, most()),
               "the warm-up is complete when the floor is there");
        warming_ = false;
    } else if (out.warmed == core::warm_up::failed) {
        const bool refused = !patient_ && e.kind == event_kind::open_failed && is_final(why);
        demand(warming_ && (closed_ || refused || told_ >= warm_up_deadline_), "the warm-up fails for a reason");
        warming_ = false;
    }
    demand(out.closes == (closed_ && !was_closed_),
           "SH-3: who closes the pool, however that came, is told to abort its dials");
    was_closed_ = closed_;
    if (out.finished) {
        demand(closed_ && total() == 0 && !finished_, "close ends once, when every session has ended");
        finished_ = true;
    }
    if (e.kind == event_kind::tick) {
        const auto late = [&](const call* c) { return c->due <= now_ && !held_; };
        demand(std::none_of(queue_.begin(), queue_.end(), late), "a tick ends every wait whose time is over");
        const auto overdue = [&](const line& l) { return l.doing != task::none && l.task_deadline <= now_; };
        demand(std::none_of(lines_.begin(), lines_.end(), overdue), "a tick ends every task whose time is over");
        demand(out.wake > now_, "AQ-10: a tick leaves nothing for another one at once");
    }
    if (e.kind == event_kind::cancel) {
        demand(!e.by->waits, "who cancels waits no longer");
    }
    demand(!given_up_ || live() == 0, "nobody is given up while a connection is open");
    given_up_ = false;
    if (e.kind == event_kind::wait && e.by->waits) {
        demand(queue_.size() <= limits_.max_waiting, "AQ-7: the queue is bounded");
        demand(live() > 0 || suspended_ || !backoff_.fails_fast(now_), "RE-6: in an outage newcomers are told at once");
    }
}

void model::check(time_point armed, const event& e) {
    if (live() <= limits_.min || n(phase::idle) <= limits_.min_idle) {
        not_over_min_until_ = now_;
    }
    demand(queue_.empty() || suspended_ || checking() >= queue_.size() || all_idle_are_shunned(),
           "an idle connection and a waiter exist together only while checks are under way, or the program wants none");
    demand(!ring_is_closed(), "AQ-15: where all who hold a connection wait, one of them is told");
    check_closed(armed);
    const bool warm = live() >= std::min(limits_.min, most());
    const bool concludes =
        e.kind != event_kind::cancel && e.kind != event_kind::release && e.kind != event_kind::hook_begins;
    demand(!warming_ || !warm || !concludes, "a warm-up that is complete is told so");
    check_idle();
    if (concludes) {
        check_dials(armed);
        check_idle_floor(e);
        check_refusal();
    }
    check_wake(armed);
    check_books();
}

void model::check_closed(time_point armed) const {
    if (!closed_) {
        return;
    }
    demand(queue_.empty(), "SH-1: nobody waits for a closed pool");
    demand(n(phase::idle) == 0 && n(phase::resetting) == 0, "a closed pool keeps nothing that is free");
    demand(n(phase::leased) == 0 || armed <= close_deadline_,
           "the end of grace is among the reasons for the next tick");
    demand(finished_ == (total() == 0), "close ends when the last session has ended");
}

void model::check_idle() const {
    if (n(phase::idle) == 0) {
        return;
    }
    demand(live() <= most(), "SZ-9: what is surplus and idle is closed at once");
    for (const line& l : lines_) {
        demand(l.at != phase::idle || (l.generation == generation_ && !l.evicted),
               "LC-9: what is evicted and idle is closed at once");
    }
}

/// RE-11: who waits without a dial or a check under way waits for a reason.
void model::check_dials(time_point armed) const {
    if (closed_ || suspended_ || !backoff_.surely_open() || total() >= most()) {
        return;
    }
    const auto connecting = n(phase::connecting);
    if (connecting >= backoff_.parallel()) {
        return;
    }
    const bool pauses = limits_.anticipation.count() > 0 && connecting > 0;
    demand(queue_.size() <= coming() || pauses, "RE-11: a waiter, room and an open gate mean a dial");
    demand(queue_.size() <= coming() || !pauses ||
               armed <= std::max(pause_until_, settings_since_ + limits_.anticipation),
           "SZ-6: the end of the pause is among the reasons for the next tick");
    demand(!started_ || lacking(limits_.min, live()) <= connecting, "SZ-3: the floor is restored without an acquire");
}

/// Who takes an idle connection wakes nobody: the next event that looks at the whole pool restores the floor.
void model::check_idle_floor(const event& e) const {
    const bool partial = e.kind == event_kind::task_done || e.kind == event_kind::lost || e.kind == event_kind::detach;
    if (partial || closed_ || suspended_ || !started_ || limits_.min_idle == 0 || !backoff_.surely_open()) {
        return;
    }
    demand(total() >= most() || n(phase::connecting) >= backoff_.parallel() ||
               n(phase::idle) + coming() + keeping_alive() >= limits_.min_idle + queue_.size(),
           "SZ-3: the idle floor is restored without an acquire");
}

/// A newcomer would be told at once: so are those who came before.
void model::check_refusal() const {
    if (backoff_.probing() && is_final(backoff_.cause()) && live() == 0 && !suspended_ && backoff_.surely_shut() &&
        now_ < backoff_.earliest()) {
        demand(queue_.empty(), "a refused login ends every wait that nothing open can serve");
    }
}

void model::check_wake(time_point armed) const {
    for (const call* c : queue_) {
        demand(held_ || armed <= c->due, "each deadline is among the reasons for the next tick");
    }
    for (const line& l : lines_) {
        demand(l.doing == task::none || armed <= l.task_deadline,
               "each task's deadline is among the reasons for the next tick");
    }
    demand(closed_ || armed <= closes_at_, "SH-7: an announced close is among the reasons for the next tick");
    demand(!warming_ || armed <= warm_up_deadline_, "the warm-up's deadline is among the reasons for the next tick");
}

/// When ticks come as asked for, nothing is left undone past its time. Asked before an event is handled: whatever was
/// due earlier has been done.
void model::check_nothing_overdue() const {
    demand(closed_ || now_ <= closes_at_, "SH-7: the pool closes at the moment that was announced");
    for (const call* c : queue_) {
        demand(held_ || now_ <= c->due, "AQ-5: nobody waits beyond the deadline");
    }
    for (const line& l : lines_) {
        demand(l.doing == task::none || now_ <= l.task_deadline, "no task takes longer than its time");
        if (l.at == phase::leased) {
            check_leases_overdue(l);
        }
        if (l.at == phase::idle && limits_.idle_timeout.count() > 0) {
            const auto due = std::max({l.idle_since, l.alive_at, settings_since_}) + limits_.idle_timeout;
            demand(now_ <= std::max(due, not_over_min_until_) + look(limits_.idle_timeout),
                   "SZ-8: what is idle too long is closed at most an eighth late");
        }
    }
    demand(!warming_ || now_ <= warm_up_deadline_, "the warm-up ends at its deadline");
    demand(n(phase::leased) == 0 || now_ <= close_deadline_, "SH-2: leases end with the time of grace");
}

void model::check_leases_overdue(const line& l) const {
    const auto since = std::max(l.leased_since, settings_since_);
    if (limits_.lease_timeout.count() > 0) {
        demand(now_ <= since + limits_.lease_timeout + look(limits_.lease_timeout),
               "TO-10: a lease ends at most an eighth after its time");
    }
    if (limits_.leak_threshold.count() > 0 && !l.reported) {
        demand(now_ <= since + limits_.leak_threshold + look(limits_.leak_threshold),
               "OB-7: a leak is reported at most an eighth late");
    }
}

}  // namespace simulation
