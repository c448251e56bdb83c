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
    if (idle_.empty()) {
        return nullptr;
    }
    slot& s = idle_.front();
    idle_.pop_front();
    move(s, slot_state::leased);
    ++numbers_.immediate;
    return &s;
}

void machine::wait(waiter& w, time_point now, actions& out) {
    assert(idle_.empty() && w.result == outcome::pending);
    if (closed_) {
        settle(w, outcome::closed, out);
    } else if (refused_ && gate_opens_ > now && gate_opens_ != never && live() == 0) {
        settle(w, outcome::unavailable, out);
    } else if (queue_.size() >= limits_.max_waiting) {
        settle(w, outcome::queue_full, out);
    } else {
        queue_.push(w);
        ++numbers_.waiting;
    }
    conclude(out);
}

void machine::cancel(waiter& w, actions& out) {
    if (w.result != outcome::pending) {
        return;  // whoever settled it has told it already, or is about to
    }
    queue_.erase(w);
    --numbers_.waiting;
    settle(w, outcome::cancelled, out);
}

void machine::release(slot& s, returned how, time_point now, actions& out) {
    assert(s.lent_out);
    s.lent_out = false;
    --lent_out_;
    if (s.state != slot_state::leased) {  // closed underneath the lease
        make_vacant_if_free(s);
        return;
    }
    const auto why = reason_to_leave(s);
    if (why != leave_reason::none) {
        leave(s, why, out);
    } else if (how == returned::clean) {
        free_for_next(s, out);
        return;
    } else if (how == returned::spoilt) {
        leave(s, leave_reason::discarded, out);
    } else {
        move(s, slot_state::resetting);
        s.reset_deadline = now + limits_.rollback_timeout;
        s.rolling_back = true;
        ++rolling_back_;
        resetting_.push_back(s);
        ++numbers_.rollbacks;
        out.commands.push_back({command_kind::reset, &s});
    }
    conclude(out);
}

void machine::reset_done(slot& s, bool well, actions& out) {
    if (!s.rolling_back) {
        return;
    }
    s.rolling_back = false;
    --rolling_back_;
    if (s.state != slot_state::resetting) {  // it took too long, or the pool closes
        make_vacant_if_free(s);
        return;
    }
    const auto why = !well ? leave_reason::discarded : reason_to_leave(s);
    resetting_.erase(resetting_.iterator_to(s));
    if (why != leave_reason::none) {
        leave(s, why, out);
    } else {
        free_for_next(s, out);
    }
    conclude(out);
}

void machine::opened(slot& s, time_point now, actions& out) {
    assert(s.state == slot_state::connecting);
    ++numbers_.opened;
    failures_ = 0;
    refused_ = false;
    gate_opens_ = never;
    s.opened_at = now;
    s.lifetime_share = random_share();
    s.retire_at = retirement(now, limits_.max_lifetime, s.lifetime_share);
    next_sweep_ = std::min(next_sweep_, s.retire_at);
    if (const auto each = sweep_interval(limits_.idle_timeout); each.count() > 0) {
        next_sweep_ = std::min(next_sweep_, now + each);
    }
    const auto why = reason_to_leave(s);
    if (why != leave_reason::none) {
        leave(s, why, out);
    } else {
        free_for_next(s, out);
    }
    if (warming_ && live() >= limits_.min) {
        warming_ = false;
        out.warmed = warm_up::complete;
    }
    conclude(out);
}

void machine::open_failed(slot& s, dial_failure why, time_point now, actions& out) {
    assert(s.state == slot_state::connecting);
    ++numbers_.dials_failed;
    vacate(s);
    if (why != dial_failure::aborted && gate_opens_ == never) {  // of dials that fail together the first one counts
        shut_gate(now);
    }
    refused_ = why == dial_failure::refused;
    if (refused_ && warming_) {
        warming_ = false;
        out.warmed = warm_up::failed;
    }
    conclude(out);
}

void machine::lost(slot& s, actions& out) {
    switch (s.state) {
    case slot_state::idle:
        idle_.erase(idle_.iterator_to(s));
        leave(s, leave_reason::lost, out);
        break;
    case slot_state::resetting:
        resetting_.erase(resetting_.iterator_to(s));
        leave(s, leave_reason::lost, out);
        break;
    case slot_state::leased: s.doomed = leave_reason::lost; break;
    case slot_state::vacant:
    case slot_state::connecting:
    case slot_state::closing: return;
    }
    conclude(out);
}

void machine::closed(slot& s, actions& out) {
    assert(s.state == slot_state::closing);
    vacate(s);
    conclude(out);
}

void machine::tick(time_point now, actions& out) {
    while (waiter* late = queue_.expired(now)) {
        queue_.erase(*late);
        --numbers_.waiting;
        settle(*late, outcome::timed_out, out);
    }
    while (!resetting_.empty() && resetting_.front().reset_deadline <= now) {
        slot& s = resetting_.front();
        resetting_.pop_front();
        leave(s, leave_reason::discarded, out);
    }
    if (gate_opens_ <= now) {
        gate_opens_ = never;
    }
    if (warming_ && (live() >= limits_.min || warm_up_deadline_ <= now)) {
        warming_ = false;
        out.warmed = live() >= limits_.min ? warm_up::complete : warm_up::failed;
    }
    if (next_sweep_ <= now) {
        sweep(now, out);
    }
    if (close_deadline_ <= now) {
        close_deadline_ = never;
        close_lent_out(out);
    }
    conclude(out);
}

void machine::reconfigure(const limits& given, bool replace, time_point now, actions& out) {
    limits_ = given;
    numbers_.max.set(given.max);
    numbers_.min.set(given.min);
    if (replace) {
        ++generation_;
    }
    failures_ = 0;  // other settings deserve a dial at once
    refused_ = false;
    gate_opens_ = never;
    next_sweep_ = now;
    for (slot& s : resetting_) {  // a shorter time-out holds for them too, which keeps the list in order
        s.reset_deadline = std::min(s.reset_deadline, now + limits_.rollback_timeout);
    }
    for (slot& s : slots_) {
        if (s.opened_at != never) {
            s.retire_at = retirement(s.opened_at, limits_.max_lifetime, s.lifetime_share);
        }
        if (s.doomed == leave_reason::old) {  // the sweep that follows decides anew
            s.doomed = leave_reason::none;
        }
    }
    retire_idle(out);
    tick(now, out);
}

void machine::rotate(actions& out) {
    ++generation_;
    retire_idle(out);
    conclude(out);
}

void machine::close(time_point deadline, actions& out) {
    closed_ = true;
    close_deadline_ = std::min(close_deadline_, deadline);
    started_ = false;
    if (warming_) {
        warming_ = false;
        out.warmed = warm_up::failed;
    }
    settle_all(outcome::closed, out);
    retire_idle(out);
    while (!resetting_.empty()) {
        slot& s = resetting_.front();
        resetting_.pop_front();
        leave(s, leave_reason::shutdown, out);
    }
    conclude(out);
}

}  // namespace trunkline::core
