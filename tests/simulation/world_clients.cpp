// The clients of the simulation, and whoever changes the pool's settings.
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
    c.now.deadline = plan_.patience.count() == 0 ? core::never : now_ + up_to(plan_.patience);
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
    later(kind::give_back, c.gone ? std::chrono::nanoseconds{0} : up_to(plan_.hold), &c);
}

void world::give_back(client& c) {
    line& l = model::line_of(*c.lease);
    c.lease = nullptr;
    c.busy = false;
    auto how = core::returned::clean;
    if (!c.gone) {
        how = dice_.chance(plan_.spoilt)           ? core::returned::spoilt
              : dice_.chance(plan_.in_transaction) ? core::returned::in_transaction
                                                   : core::returned::clean;
    }
    c.gone = false;
    act({.kind = event_kind::release, .now = now_, .at = &l, .how = how});
    later(kind::begin, up_to(plan_.think), &c);
}

void world::meddle() {
    if (calm_) {
        return;
    }
    if (dice_.chance(40)) {
        act({.kind = event_kind::rotate, .now = now_});
    } else {
        plan_.limits = draw_limits(dice_);
        highest_max_ = std::max(highest_max_, plan_.limits.max);
        note_limits();
        act({.kind = event_kind::reconfigure, .now = now_, .given = &plan_.limits, .replace = dice_.chance(30)});
    }
    if (!closed_) {
        later(kind::meddle, up_to(plan_.meddling) + plan_.grain);
    }
}

}  // namespace simulation
