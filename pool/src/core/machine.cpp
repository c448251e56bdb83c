// The machine's callers: who waits, who gives up, who brings a connection back.
#include "machine.hpp"

#include <algorithm>
#include <cassert>

namespace trunkline::core {

machine::machine(const limits& given, std::uint64_t seed)
    : limits_{given},
      random_{static_cast<std::minstd_rand::result_type>(seed % 2'147'483'646U + 1)} {
    numbers_.max.set(given.max);
    numbers_.min.set(given.min);
}

void machine::start(time_point now, time_point deadline, actions& out) {
    if (closed_) {
        out.warmed = warm_up::failed;
        return;
    }
    started_ = true;
    warming_ = true;
    warm_up_deadline_ = deadline;
    tick(now, out);
}

slot* machine::try_acquire() noexcept {
    if (idle_.empty() || !queue_.empty() || suspended_) {
        return nullptr;
    }
    slot& s = *next_idle();
    if (needs_check(s)) {
        return nullptr;
    }
    idle_.erase(idle_.iterator_to(s));
    move(s, slot_state::leased);
    ++numbers_.immediate;
    return &s;
}

/// Why `w` is not queued, or `pending`.
outcome machine::refusal_for(time_point now) {
    if (closed_) {
        return outcome::closed;
    }
    if (!suspended_ && live() == 0) {
        gate_.tick(now);
        if (gate_.is_hopeless() || gate_.fails_fast(now)) {
            asked_ = true;
            return in_vain();
        }
    }
    if (queue_.size() >= limits_.max_waiting) {
        return outcome::queue_full;
    }
    if (limits_.shed_target.count() > 0 && !suspended_ && !queue_.empty() &&
        now - queue_.front().since > limits_.shed_target &&
        shedder_.stands(now, limits_.shed_target, limits_.shed_interval)) {
        ++numbers_.overloaded;
        return outcome::overloaded;
    }
    return outcome::pending;
}

void machine::wait(waiter& w, time_point now, actions& out) {
    assert(w.result == outcome::pending);
    tell_time(now);
    const auto refusal = refusal_for(now);
    if (refusal != outcome::pending) {
        settle(w, refusal, out);
        conclude(out);
        return;
    }
    if (held_) {  // the time until `resume` will be added to every deadline
        w.deadline = w.deadline == never ? never : w.deadline - (now - suspended_at_);
    }
    if (w.holds != nullptr && w.holds->state != slot_state::leased) {
        w.holds = nullptr;  // closed underneath its lease
    }
    if (w.holds != nullptr && w.holds->holder_waits++ == 0) {
        ++holders_waiting_;
    }
    queue_.push(w);
    ++numbers_.waiting;
    if (w.deadline == queue_.first_deadline()) {  // else their patience is no shorter than it was
        hurry_checks();
    }
    conclude(out);
}

void machine::cancel(waiter& w, actions& out, time_point now) {
    tell_time(now);
    if (w.result != outcome::pending) {
        return;  // whoever settled it has told it already, or is about to
    }
    const bool was_choosy = w.passed_over > 0;
    unqueue(w);
    settle(w, outcome::cancelled, out);
    if (was_choosy) {  // what the program did not want for this one may do for the next
        conclude(out);
    }
}

/// The hook did not want the first waiter to have the connection it was asked about.
void machine::pass_over(outcome how, actions& out) {
    if (queue_.empty()) {
        return;
    }
    waiter& first = queue_.front();
    if (how != outcome::refused && ++first.passed_over <= most()) {
        return;
    }
    unqueue(first);
    settle(first, outcome::refused, out);
}

void machine::release(slot& s, returned how, time_point now, actions& out) {
    assert(s.lent_out);
    tell_time(now);
    s.lent_out = false;
    --lent_out_;
    if (s.state != slot_state::leased) {  // closed underneath the lease
        make_vacant_if_free(s);
        return;
    }
    const auto why = reason_to_leave(s);
    if (why != leave_reason::none) {
        leave(s, why, out);
    } else if (how == returned::spoilt) {
        leave(s, leave_reason::discarded, out);
    } else if (how == returned::clean && !limits_.cleans_each) {
        come_back(s, out);
        if (!limits_.checks_each && out.commands.empty()) {
            return;
        }
    } else {
        if (how == returned::unclean) {
            ++numbers_.cleanings;
        }
        begin(s, task::clean, limits_.clean_timeout, out);
    }
    conclude(out);
}

void machine::detach(slot& s, time_point now, actions& out) {
    assert(s.lent_out);
    tell_time(now);
    s.lent_out = false;
    --lent_out_;
    if (s.state != slot_state::leased) {  // closed underneath the lease
        make_vacant_if_free(s);
        return;
    }
    ++numbers_.detached;
    forget_in_rotation(s);
    vacate(s);
    conclude(out);
}

void machine::suspend(bool hold_deadlines, time_point now, actions& out) {
    tell_time(now);
    if (!suspended_) {
        suspended_ = true;
        held_ = hold_deadlines;
        suspended_at_ = now;
    }
    conclude(out);
}

void machine::resume(time_point now, actions& out) {
    tell_time(now);
    if (suspended_ && held_) {
        queue_.put_off(now - suspended_at_);
    }
    suspended_ = false;
    held_ = false;
    suspended_at_ = never;
    shedder_.on_empty();  // nobody was served, and nobody was meant to be
    tick(now, out);
    hurry_checks();  // for those whose deadlines were held
    out.wake = next_wake();
}

void machine::close(time_point deadline, time_point now, actions& out) {
    tell_time(now);
    out.closes = !closed_;
    closed_ = true;
    close_deadline_ = std::min(close_deadline_, deadline);
    started_ = false;
    if (warming_) {
        warming_ = false;
        out.warmed = warm_up::failed;
    }
    rotating_ = replaced_ = has_room_ = owes_ = false;
    settle_all(outcome::closed, out);
    retire_idle(out);
    for (slot& s : slots_) {
        const bool prepared = s.state == slot_state::connecting && s.doing == task::prepare;
        if (s.state == slot_state::resetting || prepared) {
            leave(s, leave_reason::shutdown, out);
        }
    }
    conclude(out);
}

void machine::announce_close(time_point when, std::chrono::milliseconds grace, time_point now, actions& out) {
    closes_at_ = std::min(closes_at_, when);
    announced_grace_ = std::min(announced_grace_, grace);
    tick(now, out);
}

}  // namespace trunkline::core
