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
    const auto why = weather_ == weather::refusing ? core::dial_failure::refused : core::dial_failure::transient;
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

void world::reset(line& l) {
    if (!dice_.chance(plan_.hangs)) {
        later(kind::reset_ends, up_to(plan_.limits.rollback_timeout * 3 / 2), &l, l.serial);
    }
}

void world::reset_ends(line& l) {
    const bool well = session_of(l).on_server && !dice_.chance(plan_.reset_fails);
    act({.kind = event_kind::reset_done, .now = now_, .at = &l, .well = well});
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
    static constexpr weather kinds[] = {weather::up,       weather::up,   weather::up,    weather::down,
                                        weather::refusing, weather::full, weather::silent};
    weather_ = kinds[dice_.size(0, 6)];
    past_.note(now_, "the server is ",
               weather_ == weather::up         ? "up"
               : weather_ == weather::refusing ? "refusing logins"
               : weather_ == weather::silent   ? "silent"
                                               : "down");
    later(kind::server_changes, up_to(plan_.calm) + plan_.grain);
}

}  // namespace simulation
