// Whoever changes the pool's settings, stops it for a while, or has its connections replaced.
#include "world.hpp"

#include <algorithm>

namespace simulation {

void world::meddle() {
    if (calm_) {
        return;
    }
    switch (dice_.between(0, 6)) {
    case 0:
    case 1: act({.kind = event_kind::rotate, .now = now_}); break;
    case 2: act({.kind = event_kind::evict, .now = now_, .flag = dice_.chance(50)}); break;
    case 3:
        act({.kind = event_kind::suspend, .now = now_, .flag = dice_.chance(50)});
        later(kind::resume, up_to(plan_.meddling));
        break;
    case 4:
        act({.kind = event_kind::cap, .now = now_, .most = dice_.size(1, dice_.chance(50) ? 10 : plan_.limits.max)});
        break;
    default:
        plan_.limits = draw_limits(dice_);
        highest_max_ = std::max(highest_max_, plan_.limits.max);
        note_limits();
        act({.kind = event_kind::reconfigure, .now = now_, .given = &plan_.limits, .flag = dice_.chance(30)});
    }
    if (!closed_) {
        later(kind::meddle, up_to(plan_.meddling) + plan_.grain);
    }
}

void world::resume() {
    if (model_.suspended()) {
        act({.kind = event_kind::resume, .now = now_});
    }
}

}  // namespace simulation
