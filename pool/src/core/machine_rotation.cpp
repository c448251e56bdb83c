// The machine's rotation: connections are replaced one at a time, the new one first where `max` has room (SPEC LC-2 to
// LC-4), so that callers notice nothing.
#include "machine.hpp"

#include <algorithm>

namespace trunkline::core {

/// When its lifetime gives it up: not while callers wait, for a tenth of the lifetime at most.
time_point machine::due_at(const slot& s) const noexcept {
    if (s.retire_at == never) {
        return never;
    }
    const auto patience = queue_.empty() ? std::chrono::milliseconds{0} : limits_.max_lifetime / 10;
    return std::max(after(s.retire_at, patience), next_retirement_);
}

bool machine::is_due(const slot& s) const noexcept {
    const bool held = s.state == slot_state::idle || s.state == slot_state::leased;
    if (!held || s.doomed != leave_reason::none) {
        return false;
    }
    return (s.turn != turn_ && rotate_from_ == never) || due_at(s) <= now_;
}

/// The longest unused idle one, else a leased one, else nothing.
slot* machine::next_due() noexcept {
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        if (is_due(*at)) {
            return &*at;
        }
    }
    for (slot& s : slots_) {
        if (is_due(s)) {
            return &s;
        }
    }
    return nullptr;
}

void machine::rotate(time_point now, actions& out) {
    tell_time(now);
    ++turn_;
    rotate_from_ = never;
    rotating_ = true;
    conclude(out);
}

void machine::step_rotation(actions& out) {
    const bool under_way = coming_ != nullptr || leaving_ != nullptr || has_room_ || owes_;
    if (!rotating_ || under_way || closed_ || suspended_ || !gate_.is_open()) {
        return;
    }
    slot* const due = next_due();
    if (due == nullptr) {
        rotating_ = false;
        for (const slot& s : slots_) {
            if (s.state == slot_state::idle || s.state == slot_state::leased) {
                next_sweep_ = std::min(next_sweep_, due_at(s));
            }
        }
    } else if (total() < most()) {
        has_room_ = true;
    } else if (due->state == slot_state::idle) {
        owes_ = true;
        retire(*due, out);
    } else {
        leaving_ = due;
        retire(*due, out);
    }
}

/// Now if it is idle, else when it comes back.
void machine::retire(slot& due, actions& out) {
    const auto why = due.turn != turn_ ? leave_reason::retired : leave_reason::old;
    if (why == leave_reason::old) {
        next_retirement_ = now_ + nanoseconds{limits_.max_lifetime} / static_cast<std::int64_t>(total());
    }
    if (due.state == slot_state::idle) {
        idle_.erase(idle_.iterator_to(due));
        leave(due, why, out);
    } else {
        due.doomed = why;
    }
}

/// The replacement is there: one that is due may go.
void machine::on_replacement(slot& fresh, actions& out) {
    const bool owed = coming_is_owed_;
    forget_in_rotation(fresh);
    slot* const due = owed ? nullptr : next_due();
    if (due != nullptr) {
        retire(*due, out);
    }
}

/// It has no longer any part in the rotation.
void machine::forget_in_rotation(const slot& s) noexcept {
    if (coming_ == &s) {
        coming_ = nullptr;
    }
    if (leaving_ == &s) {
        leaving_ = nullptr;
        owes_ = true;
    }
}

}  // namespace trunkline::core
