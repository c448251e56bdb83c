#include "model.hpp"

#include <algorithm>

namespace simulation {

void model::set_lifetime(line& l) const {
    const bool endless = limits_.max_lifetime.count() == 0;
    l.old_at = endless ? core::never : l.opened_at + limits_.max_lifetime;
    l.old_from = endless ? core::never : l.old_at - std::chrono::nanoseconds{limits_.max_lifetime} / 10;
}

void model::put(line& l, phase to) {
    --count_[static_cast<std::size_t>(l.at)];
    ++count_[static_cast<std::size_t>(to)];
    l.at = to;
    l.replaces = l.replaces && to != phase::idle && to != phase::leased && to != phase::resetting;
}

void model::lay_idle(line& l) {
    if (!l.checked) {
        l.idle_since = now_;
        l.freed = ++freed_;
        l.laid_back = false;
        l.suspect = false;
    } else {
        l.laid_back = true;
    }
    l.checked = false;
    put(l, phase::idle);
}

void model::lend(line& l) {
    put(l, phase::leased);
    l.lent = true;
    l.checked = l.suspect = l.reported = false;
    l.leased_since = now_;
    ++l.uses;
    ++leases_;
}

std::size_t model::checking() const {
    return static_cast<std::size_t>(
        std::count_if(lines_.begin(), lines_.end(), [](const line& l) { return l.doing == core::task::check; }));
}

std::size_t model::keeping_alive() const {
    return static_cast<std::size_t>(
        std::count_if(lines_.begin(), lines_.end(), [](const line& l) { return l.doing == core::task::keepalive; }));
}

bool model::all_idle_are_shunned() const {
    return std::all_of(lines_.begin(), lines_.end(), [](const line& l) { return l.at != phase::idle || l.shunned; });
}

void model::forget_shunned() {
    for (line& l : lines_) {
        l.shunned = false;
    }
}

/// VA-2: who waits for a check that takes half of his time goes on to another connection.
void model::lose_patience() {
    for (line& l : lines_) {
        if (l.doing == core::task::check && l.task_deadline <= now_ && l.check_ends > now_) {
            l.doing = core::task::keepalive;
            l.task_deadline = l.check_ends;
        }
    }
}

/// Leased connections whose holder waits for another one.
std::size_t model::waiting_holders() const {
    std::vector<const line*> found;
    for (const call* c : queue_) {
        if (c->keeps != nullptr && c->keeps->at == phase::leased &&
            std::find(found.begin(), found.end(), c->keeps) == found.end()) {
            found.push_back(c->keeps);
        }
    }
    return found.size();
}

bool model::ring_is_closed() const {
    const auto leased = n(phase::leased);
    return !suspended_ && leased > 0 && leased == total() && leased >= most() && waiting_holders() == leased;
}

void model::after_try(time_point now, core::slot* got) {
    now_ = now;
    const auto lies = [](const line& l) { return l.at == phase::idle; };
    const bool some = std::any_of(lines_.begin(), lines_.end(), lies);
    if (!some || suspended_) {
        demand(got == nullptr, "RE-10: try_acquire gives idle connections only, and none of a suspended pool");
        return;
    }
    if (got == nullptr) {
        const auto lendable = [&](const line& l) {
            const bool before = settings_since_ >= l.idle_since;  // other settings had it doubted
            const bool asks = limits_.checks_each || l.suspect || l.laid_back || limits_.validate_after || before;
            return l.at == phase::idle && !asks;
        };
        demand(!queue_.empty() ||
                   !std::all_of(lines_.begin(), lines_.end(), [&](const line& l) { return !lies(l) || lendable(l); }),
               "AQ-9: try_acquire gives what is idle and needs no check");
        return;
    }
    demand(queue_.empty(), "AQ-9: try_acquire overtakes nobody");
    line& l = line_of(*got);
    demand(!limits_.checks_each, "LC-8: what is checked each time is not given without");
    check_lendable(l);
    lend(l);
    ++tries_;
    check_books();
}

void model::after(const event& e, core::actions& out, time_point armed) {
    now_ = e.now;
    if (!e.untold) {
        told_ = std::max(told_, now_);
    }
    if (punctual_) {
        check_nothing_overdue();
    }
    happen(e);
    surplus_goes_ = static_cast<std::size_t>(std::count_if(out.commands.begin(), out.commands.end(), [](const auto& c) {
        const bool leaves = c.kind == core::command_kind::close || c.doing == core::task::farewell;
        return leaves && c.target->doomed == core::leave_reason::surplus && line_of(*c.target).at == phase::idle;
    }));
    for (auto& w : out.settled) {
        settle(static_cast<call&>(w), e);
    }
    surplus_goes_ = 0;
    for (line& l : lines_) {
        const bool hurries = (e.kind == event_kind::wait && e.by->waits) || e.kind == event_kind::resume;
        if (hurries && l.doing == core::task::check && !l.in_hook) {
            hurry(l);
        }
    }
    for (const auto& c : out.commands) {
        carry(c, e);
    }
    if (subject_ != nullptr) {
        demand(subject_->at != phase::doomed, "what must leave is closed as soon as it is free");
        demand(subject_->at != phase::unclean, "what comes back unclean is cleaned");
        demand(subject_->at != phase::fresh, "what is new is prepared");
        lay_idle(*subject_);
        subject_ = nullptr;
    }
    conclude(out, e);
    if (!finished_) {
        backoff_.on_armed(armed, punctual_, now_);
    }
    check(armed, e);
}

void model::happen(const event& e) {
    switch (e.kind) {
    case event_kind::start:
        started_ = warming_ = true;
        warm_up_deadline_ = e.deadline;
        on_tick();
        break;
    case event_kind::tick: on_tick(); break;
    case event_kind::wait:
        if (!closed_ && !suspended_ && live() == 0) {
            backoff_.on_tick(now_);
        }
        ++calls_;
        e.by->waits = true;
        e.by->came = now_;
        e.by->tried = 0;
        if (queue_.empty()) {
            last_quick_ = now_;
        }
        queue_.push_back(e.by);
        break;
    case event_kind::cancel: break;
    case event_kind::release:
    case event_kind::detach:
    case event_kind::hook_begins:
    case event_kind::task_done:
    case event_kind::opened:
    case event_kind::open_failed:
    case event_kind::lost:
    case event_kind::closed: come_back(e); break;
    case event_kind::reconfigure:
        settings_come(e);
        close_if_due();
        break;
    case event_kind::cap: cap_ = e.most; break;
    case event_kind::rotate:
        ++turn_;
        rotate_from_ = now_;
        break;
    case event_kind::evict:
        for (line& l : lines_) {
            l.evicted =
                l.evicted || (l.at != phase::vacant && l.at != phase::closing && (!e.flag || l.number % 2 == 1));
        }
        break;
    case event_kind::suspend:
        held_ = suspended_ ? held_ : e.flag;
        suspended_at_ = suspended_ ? suspended_at_ : now_;
        suspended_ = true;
        break;
    case event_kind::resume:
        hold_deadlines();
        suspended_ = held_ = false;
        last_quick_ = now_;
        on_tick();
        break;
    case event_kind::close: close(e.deadline); break;
    case event_kind::announce_close:
        closes_at_ = std::min(closes_at_, e.deadline);
        announced_grace_ = std::min(announced_grace_, e.grace);
        on_tick();
        break;
    }
}

void model::hold_deadlines() {
    for (call* c : queue_) {
        if (held_ && c->due != core::never) {
            c->due += now_ - std::max(c->came, suspended_at_);
        }
    }
}

void model::settings_come(const event& e) {
    limits_ = *e.given;
    generation_ += e.flag ? 1 : 0;
    settings_since_ = now_;
    for (line& l : lines_) {
        set_lifetime(l);
    }
    const auto spacing =
        std::chrono::nanoseconds{limits_.max_lifetime} / static_cast<std::int64_t>(std::max<std::size_t>(total(), 1));
    next_old_ = std::min(next_old_, now_ + spacing);
    pause_until_ = {};
    backoff_.forgive();
    forget_shunned();
    lose_patience();
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
        cleanings_ += e.how == core::returned::unclean && !must_leave(l) ? 1 : 0;
        put(l, e.how == core::returned::spoilt                           ? phase::doomed
               : e.how == core::returned::unclean || limits_.cleans_each ? phase::unclean
                                                                         : phase::free);
        break;
    case event_kind::detach:
        l.lent = false;
        --leases_;
        if (l.at == phase::leased) {
            ++detached_;
            put(l, phase::vacant);
        }
        return;
    case event_kind::hook_begins: on_hook_begins(l); return;
    case event_kind::task_done: on_task_done(l, e); return;
    case event_kind::opened:
        silent_ = false;
        l.opened_at = now_;
        l.alive_at = now_;
        set_lifetime(l);
        if (limits_.prepares && !closed_) {
            subject_ = &l;
            put(l, phase::fresh);
            return;
        }
        join(l);
        return;
    case event_kind::open_failed:
        ++dials_failed_;
        credit_ = l.replaces ? 0 : credit_;
        put(l, phase::vacant);
        backoff_.on_failure(e.why, now_);
        return;
    case event_kind::lost: on_lost(l, e); return;
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

/// A new connection is ready.
void model::join(line& l) {
    ++opened_;
    ++joined_;
    backoff_.on_success();
    subject_ = &l;
    put(l, phase::free);
    if (must_leave(l)) {
        put(l, phase::doomed);
    }
}

void model::on_lost(line& l, const event& e) {
    if (l.at != phase::idle && l.at != phase::resetting && l.at != phase::leased) {
        return;
    }
    l.broken = true;
    if (l.at != phase::leased) {
        l.doing = core::task::none;
        subject_ = &l;
        put(l, phase::doomed);
    }
    for (line& other : lines_) {
        other.suspect = other.suspect || other.at == phase::idle;
    }
    if (e.flag && l.turn == turn_) {
        ++turn_;
        rotate_from_ = now_ + std::chrono::seconds{1};
    }
}

void model::on_hook_begins(line& l) const {
    if (l.doing == core::task::check || l.doing == core::task::clean) {
        l.in_hook = true;
        l.check_ends = l.task_deadline =
            now_ + (l.doing == core::task::check ? limits_.before_acquire_timeout : limits_.after_release_timeout);
    }
}

void model::on_task_done(line& l, const event& e) {
    l.in_task = false;
    --tasks_;
    const auto what = l.doing;
    l.doing = core::task::none;
    const bool bad = e.verdict == core::verdict::bad;
    switch (what) {
    case core::task::none: return;  // too late
    case core::task::farewell: return;
    case core::task::prepare:
        if (e.verdict == core::verdict::good) {
            join(l);
            return;
        }
        backoff_.on_failure(core::dial_failure::transient, now_);
        subject_ = &l;
        put(l, phase::doomed);
        return;
    case core::task::check:
    case core::task::keepalive:
        if (!bad && !must_leave(l)) {
            l.doing = core::task::none;
            on_checked(l, e);
            return;
        }
        break;
    case core::task::clean:
        if (!bad && !must_leave(l)) {
            subject_ = &l;
            put(l, phase::free);
            return;
        }
        break;
    }
    subject_ = &l;
    put(l, phase::doomed);
}

void model::on_checked(line& l, const event& e) {
    l.alive_at = now_;
    silent_ = false;
    l.suspect = false;
    l.checked = true;
    if (e.verdict == core::verdict::good) {
        subject_ = &l;
        put(l, phase::free);
        return;
    }
    lay_idle(l);
    if (!queue_.empty()) {
        ++queue_.front()->tried;
        l.shunned = e.verdict == core::verdict::elsewhere;
    }
}

}  // namespace simulation
