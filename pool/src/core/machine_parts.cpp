// The machine's steps: what its events have in common.
#include "machine.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

namespace trunkline::core {

namespace {

constexpr std::size_t index_of(command_kind kind) noexcept { return static_cast<std::size_t>(kind); }

}  // namespace

void machine::tell_time(time_point now) noexcept {
    if (now != never && now > now_) {
        now_ = now;
    }
}

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
    if (s.state == slot_state::leased && s.holder_waits > 0) {  // whoever said that he holds it does so no more
        queue_.forget_holders_of(s);
        s.holder_waits = 0;
        --holders_waiting_;
    }
    if (to != slot_state::vacant) {
        ++gauge(to);
    }
    if (to == slot_state::leased) {
        s.lent_out = true;
        s.stale = false;
        ++s.uses;
        ++lent_out_;
    }
    s.state = to;
}

std::size_t machine::live() const noexcept {
    return numbers_.idle.value() + numbers_.leased.value() + numbers_.resetting.value();
}

std::size_t machine::total() const noexcept { return live() + numbers_.connecting.value() + numbers_.closing.value(); }

void machine::unqueue(waiter& w) noexcept {
    queue_.erase(w);
    --numbers_.waiting;
    if (w.holds != nullptr && --w.holds->holder_waits == 0) {
        --holders_waiting_;
    }
    if (w.passed_over > 0) {
        forget_shunned();
    }
    if (queue_.empty()) {
        shedder_.on_empty();
    }
}

void machine::settle(waiter& w, outcome how, actions& out) noexcept {
    assert(w.result == outcome::pending && how != outcome::pending);
    w.result = how;
    out.settled.push_back(w);
    switch (how) {
    case outcome::pending: break;
    case outcome::granted: ++numbers_.granted; break;
    case outcome::timed_out:
    case outcome::suspended: ++numbers_.timed_out; break;
    case outcome::cancelled: ++numbers_.cancelled; break;
    case outcome::queue_full:
    case outcome::overloaded: ++numbers_.rejected; break;
    case outcome::would_deadlock:
    case outcome::unavailable:
    case outcome::auth_failed:
    case outcome::server_full:
    case outcome::refused:
    case outcome::closed: ++numbers_.failed; break;
    }
}

void machine::settle_all(outcome how, actions& out) noexcept {
    while (!queue_.empty()) {
        waiter& w = queue_.front();
        unqueue(w);
        settle(w, how, out);
    }
}

/// A slot whose command were forgotten would be lost, and so without memory it keeps the command itself.
void machine::order(const command& what, actions& out) noexcept {
    try {
        out.commands.push_back(what);
    } catch (const std::bad_alloc&) {
        put_off(what, out);
    }
}

void machine::put_off(const command& what, actions& out) noexcept {
    if (what.kind != command_kind::report_leak) {
        what.target->put_off.set(index_of(what.kind));
        memory_wait_ends_ = std::min(memory_wait_ends_, after(now_, memory_wait));
        out.wake = next_wake();
    }
}

void machine::order_again(actions& out) noexcept {
    memory_wait_ends_ = never;
    for (slot& s : slots_) {
        const auto kinds = std::exchange(s.put_off, {});
        for (const auto kind : {command_kind::dial, command_kind::work, command_kind::close}) {
            if (kinds.test(index_of(kind))) {
                order({kind, &s, s.doomed, s.doing}, out);
            }
        }
    }
}

/// Why whoever waits, or comes, waits in vain.
outcome machine::in_vain() const noexcept {
    switch (gate_.cause()) {
    case dial_failure::refused: return outcome::auth_failed;
    case dial_failure::full: return outcome::server_full;
    case dial_failure::transient:
    case dial_failure::starting:
    case dial_failure::misconfigured:
    case dial_failure::aborted: break;
    }
    return outcome::unavailable;
}

/// To the one who has waited longest.
void machine::grant(slot& s, actions& out) {
    waiter& first = queue_.front();
    if (limits_.shed_target.count() > 0 && first.since != never) {
        shedder_.on_served(now_ - first.since, now_, limits_.shed_target, limits_.shed_interval);
    }
    unqueue(first);
    first.granted = &s;
    move(s, slot_state::leased);
    settle(first, outcome::granted, out);
}

/// The idle connection that is lent next. There must be one.
slot* machine::next_idle() noexcept { return limits_.first_in_first_out ? &idle_.back() : &idle_.front(); }

/// To the one who has waited longest, or among the idle ones.
void machine::free_for_next(slot& s, actions& out) {
    s.idle_since = never;
    s.stale = false;
    if (queue_.empty() || suspended_) {
        s.stale = limits_.validate_after && limits_.validate_after->count() == 0;
        move(s, slot_state::idle);
        idle_.push_front(s);
    } else if (limits_.checks_each) {
        begin(s, task::check, limits_.check_timeout, out);
    } else {
        grant(s, out);
    }
}

/// What was lent, and is well, goes to the next one, unless it is to be replaced.
void machine::come_back(slot& s, actions& out) {
    if (makes_way(s)) {
        step_aside(s, out);
    } else {
        free_for_next(s, out);
    }
}

void machine::begin(slot& s, task what, std::chrono::milliseconds timeout, actions& out) {
    assert(!s.in_task);
    if (what == task::check || what == task::keepalive || what == task::clean) {
        move(s, slot_state::resetting);
    }
    s.in_hook = false;
    s.task_deadline = s.check_ends = after(now_, timeout);
    if (what == task::check) {
        ++checking_;
        ++numbers_.checks;
        s.task_deadline = std::min(s.task_deadline, patience_until());
    }
    if (what == task::keepalive) {
        ++keeping_alive_;
        ++numbers_.keepalives;
    }
    s.doing = what;
    s.in_task = true;
    ++in_tasks_;
    tasks_.insert(s);
    order({command_kind::work, &s, leave_reason::none, what}, out);
}

/// When those who wait stop counting on a check: half of the time that the first of them has left is for another
/// connection.
time_point machine::patience_until() const noexcept {
    const auto first = queue_.first_deadline();
    if (held_ || first == never) {
        return never;
    }
    const auto left = std::max(first - now_, nanoseconds{0});
    return now_ + left - left / 2;
}

/// Whoever comes may have less time than those for whom the checks under way began.
void machine::hurry_checks() noexcept {
    const auto until = checking_ > 0 ? patience_until() : never;
    for (auto next = until == never ? tasks_.end() : tasks_.begin(); next != tasks_.end();) {
        slot& s = *next++;
        if (s.doing == task::check && !s.in_hook && s.task_deadline > until) {
            set_task_deadline(s, until);
        }
    }
}

void machine::set_task_deadline(slot& s, time_point deadline) noexcept {
    tasks_.erase(tasks_.iterator_to(s));
    s.task_deadline = deadline;
    tasks_.insert(s);
}

/// From now on its outcome does not count.
void machine::end_task(slot& s) noexcept {
    tasks_.erase(tasks_.iterator_to(s));
    checking_ -= s.doing == task::check ? 1 : 0;
    keeping_alive_ -= s.doing == task::keepalive ? 1 : 0;
    s.doing = task::none;
    if (s.put_off.test(index_of(command_kind::work))) {  // it never began, so nobody will tell its end
        s.put_off.reset(index_of(command_kind::work));
        s.in_task = false;
        --in_tasks_;
    }
}

void machine::count_leaving(leave_reason why) noexcept {
    switch (why) {
    case leave_reason::none: assert(false); break;
    case leave_reason::lost: ++numbers_.lost; break;
    case leave_reason::idle: ++numbers_.reaped_idle; break;
    case leave_reason::old: ++numbers_.reaped_old; break;
    case leave_reason::worn: ++numbers_.worn; break;
    case leave_reason::retired:
    case leave_reason::surplus: ++numbers_.retired; break;
    case leave_reason::discarded: ++numbers_.discarded; break;
    case leave_reason::invalid: ++numbers_.invalid; break;
    case leave_reason::unprepared: ++numbers_.unprepared; break;
    case leave_reason::expired: ++numbers_.expired; break;
    case leave_reason::shutdown: break;
    }
}

void machine::leave(slot& s, leave_reason why, actions& out) {
    count_leaving(why);
    if (s.by_deadline.is_linked()) {
        end_task(s);
    }
    forget_in_rotation(s);
    if (s.state == slot_state::connecting) {
        ++numbers_.opened;
    }
    s.doomed = why;
    move(s, slot_state::closing);
    const bool can_talk = why != leave_reason::lost && why != leave_reason::invalid && why != leave_reason::unprepared;
    if (limits_.says_farewell && can_talk && !s.lent_out && !s.in_task) {
        begin(s, task::farewell, limits_.farewell_timeout, out);
    } else {
        order({command_kind::close, &s, why}, out);
    }
}

/// The session is gone.
void machine::vacate(slot& s) noexcept {
    move(s, slot_state::vacant);
    make_vacant_if_free(s);
}

/// A slot that a lease or a task still points to is taken again only when that has ended.
void machine::make_vacant_if_free(slot& s) noexcept {
    if (s.state == slot_state::vacant && !s.lent_out && !s.in_task) {
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
    if (limits_.max_uses > 0 && s.uses >= limits_.max_uses) {
        return leave_reason::worn;
    }
    const std::size_t joining = s.state == slot_state::connecting ? 1 : 0;
    return live() + joining > most() ? leave_reason::surplus : leave_reason::none;
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

time_point machine::next_wake() const noexcept {
    if (closed_ && total() == 0) {
        return never;
    }
    auto next = std::min({gate_.opens(), next_sweep_, close_deadline_, closes_at_, pause_ends_, memory_wait_ends_});
    if (!held_) {
        next = std::min(next, queue_.first_deadline());
    }
    if (warming_) {
        next = std::min(next, warm_up_deadline_);
    }
    if (!tasks_.empty()) {
        next = std::min(next, tasks_.begin()->task_deadline);
    }
    return next;
}

/// The end of every event that may have changed what to do next.
void machine::conclude(actions& out) {
    watch_warm_up(out);
    serve_waiters(out);
    break_ring(out);
    step_rotation(out);                                       // which may close the last connection
    if (gate_.is_hopeless() && live() == 0 && !suspended_) {  // nothing open may come back to those who wait
        settle_all(in_vain(), out);
    }
    dial(out);
    out.wake = next_wake();
    if (closed_ && total() == 0 && !finished_) {
        finished_ = true;
        out.finished = true;
    }
}

void machine::check() const {
    const bool shunned = std::all_of(idle_.begin(), idle_.end(), [](const slot& s) { return s.shunned; });
    assert(shunned || queue_.empty() || suspended_ || checking_ >= queue_.size());
    (void)shunned;
    std::size_t lent = 0;
    std::size_t in_tasks = 0;
    std::size_t checking = 0;
    std::size_t by_state[6] = {};
    for (const slot& s : slots_) {
        ++by_state[static_cast<std::size_t>(s.state)];
        lent += s.lent_out ? 1 : 0;
        in_tasks += s.in_task ? 1 : 0;
        checking += s.by_deadline.is_linked() && s.doing == task::check ? 1 : 0;
        assert(s.state != slot_state::leased || s.lent_out);
        assert(!s.by_deadline.is_linked() || s.in_task);
        assert((s.state == slot_state::resetting) <= s.by_deadline.is_linked());
    }
    const auto n = [&](slot_state s) { return by_state[static_cast<std::size_t>(s)]; };
    assert(n(slot_state::connecting) == numbers_.connecting.value());
    assert(n(slot_state::idle) == numbers_.idle.value() && n(slot_state::idle) == idle_.size());
    assert(n(slot_state::leased) == numbers_.leased.value());
    assert(n(slot_state::resetting) == numbers_.resetting.value());
    assert(n(slot_state::closing) == numbers_.closing.value());
    assert(queue_.size() == numbers_.waiting.value());
    assert(lent == lent_out_ && in_tasks == in_tasks_ && checking == checking_);
    (void)lent;
    (void)in_tasks;
    (void)checking;
    (void)n;
}

}  // namespace trunkline::core
