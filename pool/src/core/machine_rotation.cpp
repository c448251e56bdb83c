// The machine's rotation: connections are replaced one at a time, the new one first where `max` has room (SPEC LC-2 to
// LC-4), so that callers notice nothing. None is doomed while it is leased: one that is due steps aside when it comes
// back, so that a lease that never ends holds up nobody, and no two leave together.
#include "machine.hpp"

#include <algorithm>

namespace trunkline::core {

void machine::evict_chosen(time_point now, actions& out) {
    tell_time(now);
    for (slot& s : slots_) {
        if (s.chosen) {
            s.doomed = leave_reason::retired;
        }
    }
    retire_idle(out);
    conclude(out);
}

/// When its lifetime gives it up: not while callers wait, for a tenth of the lifetime at most.
time_point machine::due_at(const slot& s) const noexcept {
    if (s.retire_at == never) {
        return never;
    }
    const auto patience = queue_.empty() ? std::chrono::milliseconds{0} : limits_.max_lifetime / 10;
    return std::max(after(s.retire_at, patience), next_retirement_);
}

/// Whether it is to be replaced, in whatever state it is.
bool machine::is_due(const slot& s) const noexcept {
    if (s.state == slot_state::vacant || s.state == slot_state::closing || s.doomed != leave_reason::none) {
        return false;
    }
    return is_of_an_older_turn(s) || due_at(s) <= now_;
}

/// The longest unused one that is due, or null.
slot* machine::idle_and_due() noexcept {
    for (auto at = idle_.end(); at != idle_.begin();) {
        --at;
        if (is_due(*at)) {
            return &*at;
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

/// Something is due: what about it is done now.
void machine::step_rotation(actions& out) {
    if (!rotating_ || closed_ || suspended_) {
        return;
    }
    has_room_ = false;  // unless it is so still: the dial may have had to wait, and the one that was due be gone
    owes_ = owes_ && !is_full();  // else somebody else took the room
    if (replacement_is_under_way()) {
        return;
    }
    const bool may_begin = !replaced_ && gate_.is_open();
    if (slot* const due = replaced_ || may_begin ? idle_and_due() : nullptr) {
        if (replaced_ || is_full()) {
            step_aside(*due, out);
        } else {
            has_room_ = true;
        }
        return;
    }
    bool anything = false;
    for (const slot& s : slots_) {
        if (is_due(s)) {
            anything = true;
            has_room_ = has_room_ || (may_begin && s.state == slot_state::leased && !is_full());
        } else if (const auto at = due_at(s); at > now_ && s.state != slot_state::vacant) {
            next_sweep_ = std::min(next_sweep_, at);
        }
    }
    if (!anything) {
        rotating_ = replaced_ = false;
    }
}

/// What is being closed makes room in a moment.
bool machine::is_full() const noexcept { return live() + numbers_.connecting.value() >= most(); }

bool machine::replacement_is_under_way() const noexcept { return coming_ != nullptr || has_room_ || owes_; }

/// Whether `s`, which has just come free, makes way for its replacement.
bool machine::makes_way(const slot& s) const noexcept {
    if (!rotating_ || closed_ || suspended_ || replacement_is_under_way() || !is_due(s)) {
        return false;
    }
    return replaced_ || (is_full() && gate_.is_open());
}

/// `s` leaves. Unless its replacement is there already, that one is owed now.
void machine::step_aside(slot& s, actions& out) {
    const auto why = is_of_an_older_turn(s) ? leave_reason::retired : leave_reason::old;
    owes_ = !replaced_;
    if (why == leave_reason::old) {
        next_retirement_ = now_ + retirement_spacing();
    } else if (replaced_) {
        rest_from_rotation();
    }
    replaced_ = false;
    if (s.state == slot_state::idle) {
        idle_.erase(idle_.iterator_to(s));
    }
    leave(s, why, out);
}

/// A replacement is over, and nobody else goes for a while, so that the 99th percentile does not feel it. A handshake
/// costs both sides CPU, which whoever is served meanwhile feels: it may take a twentieth of the time. A full pool is one
/// short as well, which a request at 80 % load feels the more the smaller the pool: it may lack a two-thousandth of its
/// connections on average.
void machine::rest_from_rotation() noexcept {
    const auto took = now_ - coming_since_;
    const auto share = 2000 / static_cast<std::int64_t>(std::max<std::size_t>(most(), 1));
    const nanoseconds rest = coming_is_owed_ ? std::min<nanoseconds>(share * took, std::chrono::seconds{5})
                                             : std::min<nanoseconds>(19 * took, std::chrono::seconds{1});
    if (rotate_from_ == never && rest.count() > 0) {
        rotate_from_ = now_ + rest;
        next_sweep_ = std::min(next_sweep_, rotate_from_);
    }
}

nanoseconds machine::retirement_spacing() const noexcept {
    return nanoseconds{limits_.max_lifetime} / static_cast<std::int64_t>(std::max<std::size_t>(total(), 1));
}

/// It has no longer any part in the rotation.
void machine::forget_in_rotation(const slot& s) noexcept {
    if (coming_ == &s) {
        coming_ = nullptr;
    }
}

}  // namespace trunkline::core
