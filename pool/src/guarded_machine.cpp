#include "guarded_machine.hpp"

namespace trunkline::detail {

pool_counts guarded_machine::read() const noexcept {
    const auto& n = core_.numbers();
    pool_counts c;
    c.max = n.max.value();
    c.min = n.min.value();
    c.connecting = n.connecting.value();
    c.idle = n.idle.value();
    c.leased = n.leased.value();
    c.resetting = n.resetting.value();
    c.closing = n.closing.value();
    c.total = c.connecting + c.idle + c.leased + c.resetting + c.closing;
    c.waiting = n.waiting.value();
    c.immediate = n.immediate.value();
    c.granted = n.granted.value();
    c.timed_out = n.timed_out.value();
    c.rejected = n.rejected.value();
    c.cancelled = n.cancelled.value();
    c.failed = n.failed.value();
    c.acquires = c.immediate + c.granted + c.timed_out + c.rejected + c.cancelled + c.failed + c.waiting;
    c.dials = n.dials.value();
    c.opened = n.opened.value();
    c.dials_failed = n.dials_failed.value();
    c.lost = n.lost.value();
    c.reaped_idle = n.reaped_idle.value();
    c.reaped_old = n.reaped_old.value();
    c.retired = n.retired.value();
    c.discarded = n.discarded.value();
    c.cleanings = n.cleanings.value();
    c.checks = n.checks.value();
    c.keepalives = n.keepalives.value();
    c.invalid = n.invalid.value();
    c.unprepared = n.unprepared.value();
    c.worn = n.worn.value();
    c.expired = n.expired.value();
    c.detached = n.detached.value();
    c.leaks = n.leaks.value();
    c.overloaded = n.overloaded.value();
    c.deadlocks = n.deadlocks.value();
    return c;
}

}  // namespace trunkline::detail
