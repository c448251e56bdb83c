#include "model.hpp"

#include <algorithm>

namespace simulation {

using core::leave_reason;
using core::outcome;

void model::set_lifetime(line& l) const {
    const bool endless = limits_.max_lifetime.count() == 0;
    l.old_at = endless ? core::never : l.opened_at + limits_.max_lifetime;
    l.old_from = endless ? core::never : l.old_at - std::chrono::nanoseconds{limits_.max_lifetime} / 10;
}

void model::put(line& l, phase to) {
    --count_[static_cast<std::size_t>(l.at)];
    ++count_[static_cast<std::size_t>(to)];
    l.at = to;
}

void model::lay_idle(line& l) {
    l.idle_since = now_;
    put(l, phase::idle);
    idle_.push_back(&l);
}

void model::after_try(time_point now, core::slot* got) {
    now_ = now;
    if (idle_.empty()) {
        demand(got == nullptr, "try_acquire gives idle connections only");
        return;
    }
    demand(queue_.empty(), "AQ-9: try_acquire overtakes nobody");
    demand(got == idle_.back()->slot, "AQ-3: the most recently used idle connection is lent first");
    line& l = line_of(*got);
    idle_.pop_back();
    put(l, phase::leased);
    l.lent = true;
    ++leases_;
    ++tries_;
    check_books();
}

void model::after(const event& e, core::actions& out, time_point armed) {
    now_ = e.now;
    if (punctual_) {
        check_nothing_overdue();
    }
    happen(e);
    for (auto& w : out.settled) {
        settle(static_cast<call&>(w), e);
    }
    for (const auto& c : out.commands) {
        carry(c, e);
    }
    if (subject_ != nullptr) {
        demand(subject_->at != phase::doomed, "what must leave is closed as soon as it is free");
        demand(subject_->at != phase::unclean, "what comes back inside a transaction is rolled back");
        lay_idle(*subject_);
        subject_ = nullptr;
    }
    conclude(out, e);
    if (!finished_) {
        backoff_.on_armed(armed, punctual_, now_);
    }
    check(armed);
}

void model::happen(const event& e) {
    switch (e.kind) {
    case event_kind::start:
        started_ = warming_ = true;
        warm_up_deadline_ = e.deadline;
        backoff_.on_tick(now_);
        break;
    case event_kind::tick: backoff_.on_tick(now_); break;
    case event_kind::wait:
        ++calls_;
        e.by->waits = true;
        queue_.push_back(e.by);
        break;
    case event_kind::cancel: break;
    case event_kind::release:
    case event_kind::reset_done:
    case event_kind::opened:
    case event_kind::open_failed:
    case event_kind::lost:
    case event_kind::closed: come_back(e); break;
    case event_kind::reconfigure:
        limits_ = *e.given;
        generation_ += e.replace ? 1 : 0;
        settings_since_ = now_;
        for (line& l : lines_) {
            l.reset_deadline = std::min(l.reset_deadline, now_ + limits_.rollback_timeout);
            set_lifetime(l);
        }
        refused_ = false;
        backoff_.forgive();
        break;
    case event_kind::rotate: ++generation_; break;
    case event_kind::close:
        closed_ = true;
        started_ = false;
        close_deadline_ = std::min(close_deadline_, e.deadline);
        break;
    }
}

/// The events of one connection.
void model::come_back(const event& e) {
    line& l = *e.at;
    switch (e.kind) {
    case event_kind::release:
        l.lent = false;
        --leases_;
        if (l.at != phase::leased) {
            return;  // closed underneath the lease
        }
        put(l, e.how == core::returned::clean    ? phase::free
               : e.how == core::returned::spoilt ? phase::doomed
                                                 : phase::unclean);
        break;
    case event_kind::reset_done:
        if (l.at != phase::resetting) {
            return;
        }
        put(l, e.well ? phase::free : phase::doomed);
        break;
    case event_kind::opened:
        ++opened_;
        refused_ = false;
        backoff_.forgive();
        l.opened_at = now_;
        set_lifetime(l);
        put(l, phase::free);
        break;
    case event_kind::open_failed:
        ++dials_failed_;
        put(l, phase::vacant);
        if (e.why != core::dial_failure::aborted) {
            backoff_.on_failure(now_);
        }
        refused_ = e.why == core::dial_failure::refused;
        return;
    case event_kind::lost:
        if (l.at == phase::leased) {
            l.broken = true;
            return;
        }
        if (l.at != phase::idle && l.at != phase::resetting) {
            return;
        }
        if (l.at == phase::idle) {
            idle_.erase(std::find(idle_.begin(), idle_.end(), &l));
        }
        l.broken = true;
        put(l, phase::doomed);
        break;
    case event_kind::closed:
        ++ended_;
        put(l, phase::vacant);
        return;
    default: return;
    }
    subject_ = &l;
    if (must_leave(l)) {
        put(l, phase::doomed);
    }
}

void model::settle(call& c, const event& e) {
    demand(c.waits, "each waiter gets exactly one outcome");
    const bool newcomer = e.kind == event_kind::wait && e.by == &c;
    switch (c.result) {
    case outcome::pending: demand(false, "who is told is told an outcome"); break;
    case outcome::granted: grant(c); break;
    case outcome::timed_out: demand(c.deadline <= now_, "AQ-5: nobody times out before the deadline"); break;
    case outcome::cancelled: demand(e.kind == event_kind::cancel && e.by == &c, "only who cancels is cancelled"); break;
    case outcome::queue_full:
        demand(newcomer && queue_.size() > limits_.max_waiting, "AQ-7: only who finds the queue full is rejected");
        break;
    case outcome::unavailable:
        demand(refused_, "waiters are given up only if the server refuses the login");
        demand(!newcomer || !backoff_.surely_open(), "who comes while the server is being asked again may wait");
        given_up_ = true;
        break;
    case outcome::closed: demand(closed_, "only a closed pool says so"); break;
    }
    c.waits = false;
    queue_.erase(std::find(queue_.begin(), queue_.end(), &c));
    ++outcomes_[static_cast<std::size_t>(c.result)];
}

void model::grant(call& c) {
    demand(!queue_.empty() && queue_.front() == &c, "AQ-2: waiters are granted in the order in which they came");
    demand(subject_ != nullptr && c.granted == subject_->slot, "AQ-4: what has come free goes to the waiter");
    demand(subject_->at == phase::free, "nobody is given what must leave");
    line& l = *subject_;
    subject_ = nullptr;
    put(l, phase::leased);
    l.lent = true;
    ++leases_;
}

void model::carry(const core::command& c, const event& e) {
    switch (c.kind) {
    case core::command_kind::dial: begin_dial(*c.target); break;
    case core::command_kind::reset: begin_reset(line_of(*c.target)); break;
    case core::command_kind::close: begin_close(line_of(*c.target), c.reason, e); break;
    }
}

void model::begin_dial(core::slot& s) {
    if (s.connection == nullptr) {
        lines_.push_back({.slot = &s, .number = lines_.size()});
        ++count_[static_cast<std::size_t>(phase::vacant)];
        s.connection = &lines_.back();
    }
    line& l = line_of(s);
    demand(l.at == phase::vacant && !l.lent, "a dial takes a slot that nobody holds");
    demand(!closed_, "a closed pool dials no more");
    demand(total() < limits_.max, "SZ-1: never more sessions than max");
    demand(n(phase::connecting) < (backoff_.surely_probing() ? 1 : limits_.max_connecting),
           "SZ-6, RE-3: dials run only so many at a time");
    const bool for_waiter = n(phase::connecting) < queue_.size();
    const bool for_floor = started_ && live() + n(phase::connecting) < limits_.min;
    demand(for_waiter || for_floor, "no dial without need");
    backoff_.on_dial(now_);
    ++dials_;
    ++l.serial;
    l.generation = generation_;
    l.broken = false;
    put(l, phase::connecting);
}

void model::begin_reset(line& l) {
    demand(&l == subject_ && l.at == phase::unclean, "only what comes back inside a transaction is rolled back");
    subject_ = nullptr;
    ++rollbacks_;
    l.reset_deadline = now_ + limits_.rollback_timeout;
    put(l, phase::resetting);
}

void model::begin_close(line& l, leave_reason why, const event& e) {
    demand(may_close(l, why, e), "a connection is closed for a reason that holds");
    if (&l == subject_) {
        subject_ = nullptr;
    } else if (l.at == phase::idle) {
        idle_.erase(std::find(idle_.begin(), idle_.end(), &l));
    }
    ++left_[static_cast<std::size_t>(why)];
    put(l, phase::closing);
}

void model::conclude(const core::actions& out, const event& e) {
    if (out.warmed == core::warm_up::complete) {
        demand(warming_, "the warm-up ends once");
        warming_ = false;
    } else if (out.warmed == core::warm_up::failed) {
        demand(warming_ && (closed_ || refused_ || now_ >= warm_up_deadline_), "the warm-up fails for a reason");
        warming_ = false;
    }
    if (out.finished) {
        demand(closed_ && total() == 0 && !finished_, "close ends once, when every session has ended");
        finished_ = true;
    }
    if (e.kind == event_kind::tick) {
        const auto late = [&](const call* c) { return c->deadline <= now_; };
        demand(std::none_of(queue_.begin(), queue_.end(), late), "a tick ends every wait whose time is over");
        demand(out.wake > now_, "AQ-10: a tick leaves nothing for another one at once");
    }
    if (e.kind == event_kind::cancel) {
        demand(!e.by->waits, "who cancels waits no longer");
    }
    demand(!given_up_ || live() == 0, "nobody is given up while a connection is open");
    given_up_ = false;
    if (e.kind == event_kind::wait && e.by->waits) {
        demand(queue_.size() <= limits_.max_waiting, "AQ-7: the queue is bounded");
    }
}

}  // namespace simulation
