// The clients of the simulation.
#include "world.hpp"

#include <algorithm>

namespace simulation {

void world::begin(client& c) {
    if (c.busy || calm_) {
        return;
    }
    if (closed_ && !dice_.chance(50)) {
        return;
    }
    core::slot* const got = machine_.try_acquire();
    past_.note(now_, "client ", c.number, got != nullptr ? " has one at once" : " finds none");
    ++steps_;
    model_.after_try(now_, got);
    if (got != nullptr) {
        c.busy = true;
        hold(c, *got);
    } else if (dice_.chance(plan_.tries)) {
        if (!closed_) {
            later(kind::begin, up_to(plan_.think) + plan_.grain, &c);
        }
    } else {
        queue_up(c);
    }
}

void world::queue_up(client& c) {
    c.busy = true;
    c.gone = false;
    ++c.serial;
    c.now.client = c.number;
    c.now.result = core::outcome::pending;
    c.now.granted = nullptr;
    c.now.passed_over = 0;
    c.now.keeps = nullptr;
    c.now.holds = nullptr;
    if (c.outer != nullptr && (plan_.patience.count() == 0 || dice_.chance(80))) {  // else it says nothing
        c.now.holds = c.outer;
        c.now.keeps = &model::line_of(*c.outer);
    }
    c.now.since = now_;
    c.now.due = c.now.deadline = plan_.patience.count() == 0 ? core::never : now_ + up_to(plan_.patience);
    act({.kind = event_kind::wait, .now = now_, .by = &c.now});
    const auto moment = plan_.patience.count() == 0 ? plan_.hold : plan_.patience;
    if (dice_.chance(plan_.cancels)) {
        later(kind::give_up, up_to(moment), &c, c.serial);
    }
}

/// Cancellation may come at any moment, also between the decision and the news of it.
void world::give_up(client& c) {
    if (c.lease != nullptr || !c.busy) {
        return;
    }
    const bool waited = c.now.result == core::outcome::pending;
    act({.kind = event_kind::cancel, .now = now_, .by = &c.now});
    demand(!waited || c.now.result == core::outcome::cancelled, "who cancels in time is cancelled");
    c.gone = true;
}

void world::told(client& c) {
    demand(c.busy && c.lease == nullptr && !c.now.waits, "nobody is told after the outcome");
    if (c.now.result != core::outcome::granted) {
        if (c.outer != nullptr) {
            later(kind::give_back, up_to(plan_.hold), &c);
            return;
        }
        c.busy = false;
        if (!closed_) {
            later(kind::begin, up_to(plan_.think) + plan_.grain, &c);
        }
        return;
    }
    demand(c.now.granted != nullptr, "who is granted has a connection");
    hold(c, *c.now.granted);
}

void world::hold(client& c, core::slot& s) {
    c.lease = &s;
    if (c.outer == nullptr && !c.gone && dice_.chance(plan_.nests)) {
        later(kind::nest, up_to(plan_.hold), &c);
        return;
    }
    later(kind::give_back, c.gone ? std::chrono::nanoseconds{0} : up_to(plan_.hold), &c);
}

/// A holder asks for a second connection.
void world::nest(client& c) {
    c.outer = c.lease;
    c.lease = nullptr;
    core::slot* const got = machine_.try_acquire();
    ++steps_;
    model_.after_try(now_, got);
    if (got != nullptr) {
        hold(c, *got);
    } else {
        queue_up(c);
    }
}

void world::return_one(client& c, core::slot& s) {
    line& l = model::line_of(s);
    auto how = core::returned::clean;
    if (!c.gone) {
        how = dice_.chance(plan_.spoilt)    ? core::returned::spoilt
              : dice_.chance(plan_.unclean) ? core::returned::unclean
                                            : core::returned::clean;
    }
    if (!c.gone && dice_.chance(plan_.detaches)) {
        session& kept = session_of(l);
        if (l.at == phase::leased && kept.on_server) {
            kept.on_server = false;
            --on_server_;
        }
        act({.kind = event_kind::detach, .now = now_, .at = &l});
        return;
    }
    const auto& by = plan_.limits;
    const bool untold = how == core::returned::clean && !by.checks_each && !by.cleans_each && !by.says_farewell &&
                        by.shed_target.count() == 0 && dice_.chance(70);
    act({.kind = event_kind::release, .now = now_, .at = &l, .how = how, .untold = untold});
}

void world::give_back(client& c) {
    core::slot* const held[] = {c.lease, c.outer};
    c.lease = c.outer = nullptr;
    c.busy = false;
    for (core::slot* const s : held) {
        if (s != nullptr) {
            return_one(c, *s);
        }
    }
    c.gone = false;
    later(kind::begin, up_to(plan_.think), &c);
}

}  // namespace simulation
