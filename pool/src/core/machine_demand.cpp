// The machine's answer to demand: checks and dials for those who wait and for the floors.
#include "machine.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace trunkline::core {

/// Null: there is no memory for one, and `tick` will try again.
slot* machine::vacant_slot() noexcept {
    if (vacant_.empty()) {
        try {
            return &slots_.emplace_back();
        } catch (const std::bad_alloc&) {
            memory_wait_ends_ = std::min(memory_wait_ends_, after(now_, memory_wait));
            return nullptr;
        }
    }
    slot& s = vacant_.front();
    vacant_.pop_front();
    return &s;
}

/// Idle connections and waiters exist together only while as many checks are under way as anybody waits, or if the
/// program wants none of them for the one whose turn it is.
void machine::serve_waiters(actions& out) {
    while (checking_ < queue_.size() && !suspended_) {
        slot* const s = next_for_waiters();
        if (s == nullptr) {
            if (!all_are_shunned()) {
                return;
            }
            waiter& first = queue_.front();
            unqueue(first);
            settle(first, outcome::refused, out);
            continue;
        }
        idle_.erase(idle_.iterator_to(*s));
        if (needs_check(*s)) {
            begin(*s, task::check, limits_.check_timeout, out);
        } else {
            grant(*s, out);
        }
    }
}

/// The idle connection that is lent next, or null: the program wants another one than those.
slot* machine::next_for_waiters() noexcept {
    if (idle_.empty() || !shunning_) {
        return idle_.empty() ? nullptr : next_idle();
    }
    const auto wanted = [](const slot& s) { return !s.shunned; };
    if (limits_.first_in_first_out) {
        const auto last = std::find_if(idle_.rbegin(), idle_.rend(), wanted);
        return last == idle_.rend() ? nullptr : &*last;
    }
    const auto first = std::find_if(idle_.begin(), idle_.end(), wanted);
    return first == idle_.end() ? nullptr : &*first;
}

/// The program wants none of the idle ones for the one whose turn it is, and no other will come: whoever holds one waits,
/// and there is no room for another, or the server lets nobody in.
bool machine::all_are_shunned() const noexcept {
    return shunning_ && !idle_.empty() && numbers_.idle.value() + holders_waiting_ == total() &&
           (total() >= most() || gate_.is_hopeless());
}

/// It is somebody else's turn.
void machine::forget_shunned() noexcept {
    if (std::exchange(shunning_, false)) {
        for (slot& s : slots_) {
            s.shunned = false;
        }
    }
}

void machine::dial(actions& out) {
    if (closed_ || suspended_ || !gate_.is_open() || total() >= most()) {  // the last: what is usual when callers wait
        return;
    }
    auto wanted = dials_wanted({
        .waiting = queue_.size(),
        .connecting = numbers_.connecting.value(),
        .checking = silent_ ? 0 : checking_,  // then another dead connection must not hold up who waits
        .idle = numbers_.idle.value() + keeping_alive_,
        .live = live(),
        .total = total(),
        .floor = started_ ? limits_.min : 0,
        .idle_floor = started_ ? limits_.min_idle : 0,
        .max = most(),
        .parallel = gate_.parallel(),
        .replacements = has_room_ || owes_ ? 1U : 0U,
        .one_by_one = limits_.anticipation.count() > 0,
        .pausing = pause_ends_ != never,
        .knock = asked_ && gate_.is_probing() && numbers_.connecting.value() == 0,
    });
    for (; wanted > 0; --wanted) {
        slot* const taken = vacant_slot();
        if (taken == nullptr) {
            return;
        }
        slot& s = *taken;
        s.generation = generation_;
        s.turn = turn_;
        s.opened_at = s.retire_at = s.idle_since = s.alive_at = s.leased_since = never;
        s.doomed = leave_reason::none;
        s.uses = s.seen_use = 0;
        s.stale = s.reported = s.shunned = false;
        if (has_room_ || owes_) {
            coming_ = &s;
            coming_is_owed_ = owes_;
            coming_since_ = now_;
            has_room_ = owes_ = false;
        }
        asked_ = false;
        if (!queue_.empty() && limits_.anticipation.count() > 0) {
            begin_pause();
        }
        move(s, slot_state::connecting);
        ++numbers_.dials;
        order({command_kind::dial, &s}, out);
    }
}

void machine::begin_pause() noexcept {
    pause_ends_ = after(now_, limits_.anticipation);
    granted_before_pause_ = numbers_.granted.value();
}

/// Leases that come back quickly serve who waits sooner than a further dial would.
void machine::end_pause() noexcept {
    if (pause_goes_on(numbers_.connecting.value(), queue_.size(), numbers_.granted.value() - granted_before_pause_)) {
        begin_pause();
    } else {
        pause_ends_ = never;
    }
}

/// Where all who hold a connection wait for another and nothing is on the way, nobody can be served any more: the last of
/// them is told, so that the others go on.
void machine::break_ring(actions& out) {
    const auto leased = numbers_.leased.value();
    while (holders_waiting_ > 0 && holders_waiting_ >= leased && leased == total() && leased >= most() && !suspended_) {
        waiter& last = *queue_.last_who_holds();
        unqueue(last);
        ++numbers_.deadlocks;
        settle(last, outcome::would_deadlock, out);
    }
}

void machine::watch_warm_up(actions& out) {
    const bool warm = live() >= std::min(limits_.min, most());
    if (warming_ && (warm || warm_up_deadline_ <= now_)) {
        warming_ = false;
        out.warmed = warm ? warm_up::complete : warm_up::failed;
    }
}

}  // namespace trunkline::core
