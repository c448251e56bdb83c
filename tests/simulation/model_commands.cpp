// What the machine has done with a connection, and whether there was a reason for it.
#include "model.hpp"

#include <algorithm>

namespace simulation {

using core::leave_reason;
using core::task;

/// Whether it is only given out again.
bool model::comes_again(const core::command& c) {
    if (c.target->connection == nullptr) {
        return false;
    }
    line& l = line_of(*c.target);
    const bool leaves = c.kind == core::command_kind::close || (c.doing == task::farewell && l.doing != task::farewell);
    if (leaves && (l.put_off & bit_of(core::command_kind::work)) != 0) {  // a task that never began is over
        l.put_off &= ~bit_of(core::command_kind::work);
        l.in_task = false;
        l.began = false;
        --tasks_;
    }
    const bool again = (l.put_off & bit_of(c.kind)) != 0;
    l.put_off &= ~bit_of(c.kind);
    return again;
}

void model::carry(const core::command& c, const event& e) {
    if (comes_again(c)) {
        return;
    }
    switch (c.kind) {
    case core::command_kind::dial: begin_dial(*c.target); break;
    case core::command_kind::work:
        if (c.doing == task::farewell) {
            begin_close(line_of(*c.target), c.target->doomed, e, true);
        } else {
            begin_task(line_of(*c.target), c.doing, e);
        }
        break;
    case core::command_kind::close: begin_close(line_of(*c.target), c.reason, e, false); break;
    case core::command_kind::report_leak: report_leak(line_of(*c.target)); break;
    }
}

/// Whether it may have reached its age, or is of before a rotation.
bool model::is_due(const line& l) const {
    const bool there = l.at != phase::vacant && l.at != phase::closing;
    return there && !l.evicted && ((l.turn != turn_ && rotate_from_ <= told_) || l.old_from <= told_);
}

bool model::something_is_due() const {
    return std::any_of(lines_.begin(), lines_.end(), [&](const line& l) { return is_due(l); });
}

void model::close(time_point deadline) {
    closed_ = true;
    started_ = false;
    close_deadline_ = std::min(close_deadline_, deadline);
}

void model::close_if_due() {
    if (closes_at_ <= now_) {
        closes_at_ = core::never;
        close(now_ + announced_grace_);
    }
}

void model::on_tick() {
    backoff_.on_tick(now_);
    end_pause();
    lose_patience();
    close_if_due();
}

void model::begin_pause() {
    pause_until_ = told_ + limits_.anticipation;
    granted_before_pause_ = outcomes_[static_cast<std::size_t>(core::outcome::granted)];
}

/// SZ-4: it goes on where as many were served within it as still wait.
void model::end_pause() {
    if (pause_until_ == time_point{} || pause_until_ > now_) {
        return;
    }
    const auto stays = [&](const call* c) { return held_ || c->due > now_; };
    const auto stay = static_cast<std::uint64_t>(std::count_if(queue_.begin(), queue_.end(), stays));
    const auto served = outcomes_[static_cast<std::size_t>(core::outcome::granted)] - granted_before_pause_;
    if (n(phase::connecting) > 0 && stay > 0 && stay <= served) {
        begin_pause();
    } else {
        pause_until_ = {};
    }
}

void model::begin_dial(core::slot& s) {
    if (s.connection == nullptr) {
        lines_.push_back({.slot = &s, .number = lines_.size()});
        ++count_[static_cast<std::size_t>(phase::vacant)];
        s.connection = &lines_.back();
    }
    line& l = line_of(s);
    demand(l.at == phase::vacant && !l.lent && !l.in_task, "a dial takes a slot that nobody holds");
    demand(!closed_, "a closed pool dials no more");
    demand(!suspended_, "RE-10: a suspended pool dials not");
    demand(total() < most(), "SZ-1: never more sessions than max");
    const auto connecting = n(phase::connecting);
    demand(connecting < backoff_.parallel(), "SZ-6, RE-3, RE-4: dials run only so many at a time");
    const bool pausing = limits_.anticipation.count() > 0 && connecting > 0 && told_ < pause_until_;
    const bool for_waiter = coming() < queue_.size() && !pausing;
    const bool for_floor = started_ && live() + connecting < limits_.min;
    const bool for_idle =
        started_ && limits_.min_idle > 0 &&
        n(phase::idle) + n(phase::free) + keeping_alive() + coming() < limits_.min_idle + queue_.size();
    const bool knock = asked_ && backoff_.probing() && connecting == 0;
    l.replaces = !for_waiter && !for_floor && !for_idle && !knock;
    if (l.replaces) {
        demand(credit_ > 0 || something_is_due(), "no dial without need");
        const auto replaces = [](const line& other) { return other.at == phase::connecting && other.replaces; };
        demand(std::none_of(lines_.begin(), lines_.end(), [&](const line& o) { return &o != &l && replaces(o); }),
               "LC-2: one replacement at a time");
        credit_ = std::max(credit_ - 1, -1);
    }
    if (!queue_.empty() && limits_.anticipation.count() > 0) {
        begin_pause();
    }
    backoff_.on_dial(told_);
    asked_ = false;
    ++dials_;
    ++l.serial;
    l.generation = generation_;
    l.turn = turn_;
    l.uses = 0;
    l.old_from = l.old_at = core::never;
    l.leaving = leave_reason::none;
    l.broken = l.evicted = l.suspect = l.checked = l.laid_back = l.reported = l.close_told = l.shunned = false;
    put(l, phase::connecting);
}

/// Whether the machine may want a sign of life before it lends what lies idle.
bool model::may_be_doubted(const line& l) const {
    const auto since = l.laid_back ? std::max(l.alive_at, l.idle_since) : l.idle_since;
    const bool stale = limits_.validate_after && since + *limits_.validate_after <= now_;
    return limits_.checks_each || l.suspect || stale || settings_since_ >= since;
}

void model::begin_task(line& l, task what, const event& e) {
    demand(!l.in_task, "one task at a time");
    switch (what) {
    case task::none:
    case task::farewell: demand(false, "a task has a name"); break;
    case task::prepare:
        demand(&l == subject_ && l.at == phase::fresh, "only what is new is prepared");
        put(l, phase::connecting);
        break;
    case task::clean:
        demand(&l == subject_ && l.at == phase::unclean, "only what comes back unclean is cleaned");
        put(l, phase::resetting);
        break;
    case task::check: {
        const bool returned = &l == subject_ && l.at == phase::free && limits_.checks_each;
        demand(returned || ((l.at == phase::idle || &l == subject_) && may_be_doubted(l)),
               "VA-1: no check without a doubt");
        demand(!queue_.empty() && !suspended_, "a check is for somebody who waits");
        demand(returned || checking() < queue_.size(), "no more checks than callers wait");
        demand(!l.shunned, "VA-4: the program is not asked twice about one connection for the same caller");
        ++checks_;
        if (returned && !l.checked) {
            l.idle_since = now_;
            l.freed = ++freed_;
        }
        put(l, phase::resetting);
        break;
    }
    case task::keepalive: {
        const auto since = std::max(l.idle_since, l.alive_at);
        demand(l.at == phase::idle && limits_.keepalive.count() > 0 &&
                   since + std::chrono::nanoseconds{limits_.keepalive} * 9 / 10 <= now_,
               "LC-6: only what was quiet for long is kept alive");
        demand(queue_.empty() && !suspended_ && e.kind != event_kind::release, "LC-6: nobody waits for a keepalive");
        ++keepalives_;
        put(l, phase::resetting);
        break;
    }
    }
    subject_ = &l == subject_ ? nullptr : subject_;
    l.checked = false;
    l.doing = what;
    l.in_task = l.began = true;
    l.in_hook = false;
    ++tasks_;
    set_task_deadline(l, what);
}

void model::set_task_deadline(line& l, task what) const {
    const auto timeout = what == task::prepare ? limits_.prepare_timeout
                         : what == task::clean ? limits_.clean_timeout
                                               : limits_.check_timeout;
    l.check_ends = l.task_deadline = told_ + timeout;
    if (what == task::check) {
        hurry(l);
    }
}

/// VA-2: half of what is left to each who waits is for another connection.
void model::hurry(line& l) const {
    const auto given = l.slot->task_deadline;
    demand(given <= l.task_deadline, "VA-2: a check has a time of its own, and no more");
    for (const call* c : queue_) {
        if (c->due != core::never && !held_) {
            const auto left = std::max(c->due - told_, std::chrono::nanoseconds{0});
            demand(given <= told_ + left - left / 2,
                   "VA-2: who waits counts on a check for half of the time that is left");
        }
    }
    l.task_deadline = given;
}

void model::begin_close(line& l, leave_reason why, const event& e, bool farewell) {
    if (l.at == phase::closing) {  // it has been told
        demand(!l.close_told && !farewell, "each connection is closed once");
        demand(l.doing == task::none || std::min(l.task_deadline, close_deadline_) <= now_,
               "the farewell has ended, or took too long");
        demand(why == l.leaving, "the reason does not change");
        l.doing = task::none;
        l.close_told = true;
        return;
    }
    demand(may_close(l, why, e), "a connection is closed for a reason that holds");
    const bool can_talk = why != leave_reason::lost && why != leave_reason::invalid && why != leave_reason::unprepared;
    demand(farewell == (limits_.says_farewell && can_talk && !l.lent && !l.in_task), "LC-8: who can be told is told");
    const bool unready = l.at == phase::connecting || (&l == subject_ && l.doing == task::prepare);
    const bool asked = l.doing == task::check || l.doing == task::keepalive;
    if (asked && why == leave_reason::invalid && l.began && !l.in_hook) {  // it has not answered
        silent_ = true;
        for (line& other : lines_) {
            other.suspect = other.suspect || other.at == phase::idle;
        }
    }
    if (l.doing == task::prepare && why == leave_reason::unprepared) {  // it took too long
        backoff_.on_failure(core::dial_failure::transient, told_);
    }
    opened_ += unready || (&l == subject_ && why == leave_reason::unprepared) ? 1 : 0;
    credit_ = l.replaces ? 0 : credit_;  // it never joined
    on_departure(l, why);
    subject_ = &l == subject_ ? nullptr : subject_;
    ++left_[static_cast<std::size_t>(why)];
    l.leaving = why;
    l.doing = farewell ? task::farewell : task::none;
    l.close_told = !farewell;
    if (farewell) {
        l.in_task = true;
        ++tasks_;
        l.task_deadline = told_ + limits_.farewell_timeout;
    }
    put(l, phase::closing);
}

/// LC-2 to LC-4: a connection leaves for its age, or for a rotation.
void model::on_departure(line& l, leave_reason why) {
    const bool turned = why == leave_reason::retired && !l.evicted && l.generation == generation_;
    if (why != leave_reason::old && !turned) {
        return;
    }
    demand(joined_ > 0 || total() >= most() || credit_ < 0, "LC-3: the replacement is there before the old one leaves");
    joined_ = 0;
    credit_ = total() >= most() ? 1 : std::min(credit_ + 1, 1);
    if (why == leave_reason::old) {
        demand(told_ >= next_old_, "LC-2: lifetimes end one after another");
        next_old_ = told_ + std::chrono::nanoseconds{limits_.max_lifetime} / static_cast<std::int64_t>(total());
        demand(queue_.empty() || l.old_from + limits_.max_lifetime / 10 <= told_,
               "LC-4: no lifetime ends while callers wait");
    }
}

void model::report_leak(line& l) {
    demand(l.at == phase::leased && !l.reported && limits_.leak_threshold.count() > 0 &&
               l.leased_since + limits_.leak_threshold <= now_,
           "OB-7: a leak is reported once for each lease, and never early");
    l.reported = true;
    ++leaks_;
}

/// What is free, or about to be, and must not stay.
bool model::must_leave(const line& l) const {
    const bool worn = limits_.max_uses > 0 && l.uses >= limits_.max_uses;
    const bool joins = l.at == phase::connecting || l.at == phase::fresh;
    return closed_ || l.broken || l.evicted || worn || l.generation != generation_ ||
           live() + (joins ? 1U : 0U) > most() + surplus_goes_;
}

bool model::may_close(const line& l, leave_reason why, const event& e) const {
    const bool returned = &l == subject_;
    const bool free = returned || l.at == phase::idle;
    const bool late = l.doing != task::none && l.task_deadline <= now_;
    const bool bad = returned && e.kind == event_kind::task_done && e.verdict != core::verdict::good;
    // `doomed` is not live, but it was when the machine decided.
    const auto were_live = live() + (returned && l.at == phase::doomed ? 1 : 0);
    switch (why) {
    case leave_reason::none: return false;
    case leave_reason::lost: return returned && l.broken;
    case leave_reason::idle:
        return l.at == phase::idle && limits_.idle_timeout.count() > 0 && l.idle_since + limits_.idle_timeout <= now_ &&
               live() > limits_.min && n(phase::idle) > limits_.min_idle;
    case leave_reason::old: return free && l.old_from <= told_;
    case leave_reason::worn: return free && limits_.max_uses > 0 && l.uses >= limits_.max_uses;
    case leave_reason::retired:
        return free && (l.generation != generation_ || l.evicted || (l.turn != turn_ && rotate_from_ <= told_));
    case leave_reason::surplus: return free && were_live > most();
    case leave_reason::discarded:
        return (l.doing == task::clean && late) ||
               (returned && (e.how == core::returned::spoilt || (bad && e.verdict == core::verdict::bad)));
    case leave_reason::invalid: return ((l.doing == task::check || l.doing == task::keepalive) && late) || bad;
    case leave_reason::unprepared: return (l.doing == task::prepare && late) || bad;
    case leave_reason::expired:
        return l.at == phase::leased && limits_.lease_timeout.count() > 0 &&
               l.leased_since + limits_.lease_timeout <= now_;
    case leave_reason::shutdown:
        return closed_ &&
               (free || l.at == phase::resetting || (l.at == phase::connecting && l.doing == task::prepare) ||
                (l.at == phase::leased && close_deadline_ <= now_));
    }
    return false;
}

}  // namespace simulation
