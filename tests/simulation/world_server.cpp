// The server of the simulation, and the face's commands as they reach it.
#include "world.hpp"

#include <algorithm>

namespace simulation {

world::session& world::session_of(const line& l) {
    if (sessions_.size() <= l.number) {
        sessions_.resize(l.number + 1);
    }
    return sessions_[l.number];
}

void world::dial(line& l) {
    session& s = session_of(l);
    if (!s.dialing) {
        return;  // given up before it began
    }
    s.on_server = true;
    ++on_server_;
    const bool hangs = weather_ == weather::silent || (!calm_ && dice_.chance(plan_.hangs));
    later(kind::dial_ends,
          hangs ? std::chrono::nanoseconds{plan_.connect_timeout}
                : std::min<std::chrono::nanoseconds>(up_to(plan_.connect), plan_.connect_timeout),
          &l, l.serial);
}

void world::dial_ends(line& l) {
    session& s = session_of(l);
    if (!s.dialing) {
        return;
    }
    s.dialing = false;
    const bool accepted = weather_ == weather::up && (calm_ || !dice_.chance(plan_.hangs));
    if (accepted) {
        if (dice_.chance(plan_.deaths) && !calm_) {
            later(kind::dies, up_to(plan_.hold * 3), &l, l.serial);
        }
        act({.kind = event_kind::opened, .now = now_, .at = &l});
        return;
    }
    s.on_server = false;
    --on_server_;
    auto why = core::dial_failure::transient;
    switch (weather_) {
    case weather::refusing: why = core::dial_failure::refused; break;
    case weather::full: why = core::dial_failure::full; break;
    case weather::starting: why = core::dial_failure::starting; break;
    case weather::misconfigured: why = core::dial_failure::misconfigured; break;
    case weather::up:
    case weather::down:
    case weather::silent: break;
    }
    act({.kind = event_kind::open_failed, .now = now_, .at = &l, .why = why});
}

/// The pool closes: the face gives its dials up.
void world::dial_aborted(line& l) {
    session& s = session_of(l);
    if (!s.dialing) {
        return;
    }
    s.dialing = false;
    if (s.on_server) {
        s.on_server = false;
        --on_server_;
    }
    act({.kind = event_kind::open_failed, .now = now_, .at = &l, .why = core::dial_failure::aborted});
}

microseconds world::time_for(const line& l) const {
    switch (l.doing) {
    case core::task::prepare: return plan_.limits.prepare_timeout;
    case core::task::check:
    case core::task::keepalive: return plan_.limits.check_timeout;
    case core::task::farewell: return plan_.limits.farewell_timeout;
    case core::task::clean:
    case core::task::none: break;  // over already
    }
    return plan_.limits.clean_timeout;
}

void world::work(line& l) {
    if (!calm_ && dice_.chance(plan_.hangs)) {
        return;
    }
    const auto longest = calm_ ? time_for(l) / 2 : time_for(l) * 3 / 2;
    const bool has_hook = (l.doing == core::task::check && plan_.limits.checks_each) ||
                          (l.doing == core::task::clean && plan_.limits.cleans_each);
    later(has_hook && dice_.chance(50) ? kind::hook_starts : kind::task_ends, up_to(longest), &l);
}

/// The face's own part of a task has gone well.
void world::hook_starts(line& l) {
    const bool expected = l.doing == core::task::check || l.doing == core::task::clean;
    act({.kind = event_kind::hook_begins, .now = now_, .at = &l});
    demand(hook_runs_ == expected, "LC-8: a hook runs only while somebody asks for its outcome");
    if (!hook_runs_) {
        act({.kind = event_kind::task_done, .now = now_, .at = &l, .verdict = core::verdict::good});
        return;
    }
    const microseconds time = std::min(plan_.limits.before_acquire_timeout, plan_.limits.after_release_timeout);
    if (calm_ || !dice_.chance(plan_.hangs)) {
        later(kind::task_ends, up_to(calm_ ? time / 2 : time * 3 / 2), &l);
    } else {
        later(kind::task_ends, 2 * time, &l);  // overdue by then, and told all the same
    }
}

core::verdict world::verdict_on(const line& l) {
    if (!session_of(l).on_server || (!calm_ && dice_.chance(plan_.task_fails))) {
        return core::verdict::bad;
    }
    if (l.doing == core::task::check && plan_.limits.checks_each && !calm_) {
        return dice_.chance(plan_.elsewhere)  ? core::verdict::elsewhere
               : dice_.chance(plan_.refusals) ? core::verdict::refused
                                              : core::verdict::good;
    }
    return core::verdict::good;
}

void world::task_ends(line& l) {
    act({.kind = event_kind::task_done, .now = now_, .at = &l, .verdict = verdict_on(l)});
}

void world::close(line& l) { later(kind::server_let_go, up_to(plan_.closing), &l, l.serial); }

void world::let_go(line& l) {
    session& s = session_of(l);
    if (s.on_server) {
        s.on_server = false;
        --on_server_;
    }
    later(kind::closed, up_to(plan_.carry), &l, l.serial);
}

/// The session ends by itself; the news of it travels.
void world::dies(line& l) {
    session& s = session_of(l);
    if (!s.on_server) {
        return;
    }
    s.on_server = false;
    --on_server_;
    later(kind::lost, up_to(plan_.carry), &l, l.serial);
}

void world::server_changes() {
    if (calm_ || closed_) {
        return;
    }
    static constexpr weather kinds[] = {weather::up,       weather::up,   weather::up,       weather::down,
                                        weather::refusing, weather::full, weather::starting, weather::misconfigured,
                                        weather::silent};
    static constexpr const char* words[] = {"up",       "down",          "refusing logins", "full",
                                            "starting", "misconfigured", "silent"};
    weather_ = kinds[dice_.size(0, std::size(kinds) - 1)];
    past_.note(now_, "the server is ", words[static_cast<std::size_t>(weather_)]);
    later(kind::server_changes, up_to(plan_.calm) + plan_.grain);
}

}  // namespace simulation
