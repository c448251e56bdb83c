// The machine's connections: how they come, what is done with them between two callers, how they go.
#include "machine.hpp"

#include <algorithm>
#include <cassert>

namespace trunkline::core {

void machine::opened(slot& s, time_point now, actions& out, time_point prepared_by) {
    assert(s.state == slot_state::connecting && s.doing == task::none);
    tell_time(now);
    s.opened_at = now;
    silent_ = false;
    if (limits_.prepares && !closed_) {
        const auto left = prepared_by == never ? nanoseconds::max() : std::max(prepared_by - now_, nanoseconds{0});
        begin(s, task::prepare, std::min(limits_.prepare_timeout, std::chrono::ceil<std::chrono::milliseconds>(left)),
              out);
    } else {
        gate_.on_success();
        join(s, out);
    }
    conclude(out);
}

/// A new connection is ready.
void machine::join(slot& s, actions& out) {
    s.lifetime_share = random_share();
    s.keepalive_share = random_share();
    s.retire_at = retirement(s.opened_at, limits_.max_lifetime, s.lifetime_share);
    next_sweep_ = std::min(next_sweep_, s.retire_at);
    if (const auto each = sweep_interval(limits_); each.count() > 0) {
        next_sweep_ = std::min(next_sweep_, now_ + each);
    }
    const bool replaces = coming_ == &s;
    const auto why = reason_to_leave(s);
    if (why != leave_reason::none) {
        leave(s, why, out);
    } else {
        ++numbers_.opened;
        if (replaces) {
            coming_ = nullptr;
            replaced_ = !coming_is_owed_;
            if (!replaced_) {
                rest_from_rotation();
            }
        }
        free_for_next(s, out);
    }
}

void machine::open_failed(slot& s, dial_failure why, time_point now, actions& out) {
    assert(s.state == slot_state::connecting);
    tell_time(now);
    ++numbers_.dials_failed;
    forget_in_rotation(s);
    vacate(s);
    gate_.on_failure(why, now, random_share());
    if (is_final(why) && warming_ && !patient_) {
        warming_ = false;
        out.warmed = warm_up::failed;
    }
    conclude(out);
}

void machine::lost(slot& s, bool server_ends, time_point now, actions& out) {
    tell_time(now);
    switch (s.state) {
    case slot_state::idle:
        idle_.erase(idle_.iterator_to(s));
        leave(s, leave_reason::lost, out);
        break;
    case slot_state::resetting: leave(s, leave_reason::lost, out); break;
    case slot_state::leased: s.doomed = leave_reason::lost; break;
    case slot_state::vacant:
    case slot_state::connecting:
    case slot_state::closing: return;
    }
    for (slot& other : idle_) {  // what befell one may have befallen all
        other.stale = true;
    }
    if (server_ends && s.turn == turn_) {
        // Those that the server has ended too are lost within a moment: only what is left then is replaced.
        constexpr std::chrono::seconds settling{1};
        ++turn_;
        rotate_from_ = now + settling;
        next_sweep_ = std::min(next_sweep_, rotate_from_);
    }
    conclude(out);
}

void machine::closed(slot& s, time_point now, actions& out) {
    assert(s.state == slot_state::closing);
    tell_time(now);
    vacate(s);
    conclude(out);
}

void machine::task_done(slot& s, verdict how, time_point now, actions& out) {
    if (!s.in_task) {
        return;
    }
    tell_time(now);
    s.in_task = false;
    --in_tasks_;
    const auto what = s.doing;
    if (!s.by_deadline.is_linked()) {  // it took too long, or the connection is closed
        s.doing = task::none;
        make_vacant_if_free(s);
        return;
    }
    end_task(s);
    switch (what) {
    case task::none: assert(false); break;
    case task::prepare: on_prepared(s, how, out); break;
    case task::check: on_checked(s, how, false, out); break;
    case task::keepalive: on_checked(s, how, true, out); break;
    case task::clean: {
        const auto why = how == verdict::good ? reason_to_leave(s) : leave_reason::discarded;
        if (why != leave_reason::none) {
            leave(s, why, out);
        } else {
            come_back(s, out);
        }
        break;
    }
    case task::farewell: order({command_kind::close, &s, s.doomed}, out); break;
    }
    conclude(out);
}

bool machine::hook_begins(slot& s, time_point now, actions& out) {
    tell_time(now);
    const bool counts = s.by_deadline.is_linked() && s.doing != task::keepalive;
    if (counts && (s.doing == task::check || s.doing == task::clean)) {
        s.in_hook = true;
        s.check_ends =
            after(now_, s.doing == task::check ? limits_.before_acquire_timeout : limits_.after_release_timeout);
        set_task_deadline(s, s.check_ends);
    }
    out.wake = next_wake();
    return counts;
}

void machine::on_prepared(slot& s, verdict how, actions& out) {
    if (how == verdict::good) {
        gate_.on_success();
        join(s, out);
        return;
    }
    gate_.on_failure(dial_failure::transient, now_, random_share());
    leave(s, leave_reason::unprepared, out);
}

void machine::on_checked(slot& s, verdict how, bool keepalive, actions& out) {
    const auto why = how == verdict::bad ? leave_reason::invalid : reason_to_leave(s);
    if (why != leave_reason::none) {
        leave(s, why, out);
        return;
    }
    s.alive_at = now_;
    silent_ = false;
    s.stale = false;
    // Whoever waits is given what has just answered, even if it came too late for the one for whom it was asked.
    if (how == verdict::good && !queue_.empty() && !suspended_) {
        if (!keepalive || !limits_.checks_each) {
            grant(s, out);
            return;
        }
        if (checking_ < queue_.size() && !s.shunned) {  // the hook has not been asked
            begin(s, task::check, limits_.check_timeout, out);
            return;
        }
    }
    s.stale = limits_.validate_after && limits_.validate_after->count() == 0;
    lay_back(s, how == verdict::elsewhere);
    if (how == verdict::elsewhere && !queue_.empty()) {
        s.shunned = shunning_ = true;
    }
    if (how == verdict::elsewhere || how == verdict::refused) {
        pass_over(how == verdict::refused ? outcome::refused : outcome::pending, out);
    }
}

/// Among the idle ones, where its age puts it: a sign of life is no use. `last`: where it is lent last.
void machine::lay_back(slot& s, bool last) noexcept {
    move(s, slot_state::idle);
    const auto younger = [&](const slot& other) {
        return s.idle_since != never && (other.idle_since == never || other.idle_since > s.idle_since);
    };
    auto at = idle_.begin();
    if (last) {
        at = limits_.first_in_first_out ? idle_.begin() : idle_.end();
        idle_.insert(at, s);
        return;
    }
    while (at != idle_.end() && younger(*at)) {
        ++at;
    }
    idle_.insert(at, s);
}

/// A task's time is over. Its end will be told all the same, and no longer counts.
void machine::on_overdue(slot& s, actions& out) {
    const auto what = s.doing;
    if (what == task::check && s.check_ends > now_) {  // who waits does so for another one; this one may still be well
        s.doing = task::keepalive;
        --checking_;
        ++keeping_alive_;
        set_task_deadline(s, s.check_ends);
        return;
    }
    const bool began = !s.put_off.test(static_cast<std::size_t>(command_kind::work));
    if ((what == task::check || what == task::keepalive) && began && !s.in_hook) {
        on_silence();
    }
    end_task(s);
    switch (what) {
    case task::none: break;
    case task::prepare:
        gate_.on_failure(dial_failure::transient, now_, random_share());
        leave(s, leave_reason::unprepared, out);
        break;
    case task::check:
    case task::keepalive: leave(s, leave_reason::invalid, out); break;
    case task::clean: leave(s, leave_reason::discarded, out); break;
    case task::farewell: order({command_kind::close, &s, s.doomed}, out); break;
    }
}

/// What does not answer one may not answer any.
void machine::on_silence() noexcept {
    silent_ = true;
    for (slot& other : idle_) {
        other.stale = true;
    }
}

void machine::end_grace(actions& out) {
    for (slot& s : slots_) {
        if (s.state == slot_state::leased) {
            leave(s, leave_reason::shutdown, out);
        } else if (s.doing == task::farewell) {
            on_overdue(s, out);
        }
    }
}

void machine::tick(time_point now, actions& out) {
    tell_time(now);
    while (waiter* late = held_ ? nullptr : queue_.expired(now)) {
        unqueue(*late);
        settle(*late, suspended_ ? outcome::suspended : outcome::timed_out, out);
    }
    if (pause_ends_ <= now) {
        end_pause();
    }
    gate_.tick(now);
    while (!tasks_.empty() && tasks_.begin()->task_deadline <= now) {
        on_overdue(*tasks_.begin(), out);
    }
    if (memory_wait_ends_ <= now) {
        order_again(out);
    }
    if (closes_at_ <= now) {
        closes_at_ = never;
        close(after(now, announced_grace_), now, out);
    }
    if (close_deadline_ <= now) {
        close_deadline_ = never;
        end_grace(out);
    }
    if (next_sweep_ <= now) {
        serve_waiters(out);  // after a suspension: what lies idle is theirs, however long it has
        sweep(now, out);
    }
    conclude(out);
}

void machine::reconfigure(const limits& given, bool replace_all, time_point now, actions& out) {
    tell_time(now);
    limits_ = given;
    numbers_.max.set(most());
    numbers_.min.set(given.min);
    if (replace_all) {
        ++generation_;
    }
    gate_.forgive();
    forget_shunned();
    pause_ends_ = never;
    next_sweep_ = now;
    next_retirement_ = std::min(next_retirement_, now + retirement_spacing());
    for (slot& s : slots_) {
        if (s.opened_at != never) {
            s.retire_at = retirement(s.opened_at, limits_.max_lifetime, s.lifetime_share);
        }
    }
    retire_idle(out);
    tick(now, out);
}

void machine::cap(std::size_t most_now, time_point now, actions& out) {
    tell_time(now);
    if (cap_ != most_now) {
        cap_ = most_now;
        numbers_.max.set(most());
        retire_idle(out);
    }
    conclude(out);
}

}  // namespace trunkline::core
