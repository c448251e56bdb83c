// What callers are told, and whether it is true.
#include "model.hpp"

#include <algorithm>

namespace simulation {

using core::dial_failure;
using core::outcome;

void model::settle(call& c, const event& e) {
    demand(c.waits, "each waiter gets exactly one outcome");
    const bool newcomer = e.kind == event_kind::wait && e.by == &c;
    switch (c.result) {
    case outcome::pending: demand(false, "who is told is told an outcome"); break;
    case outcome::granted: grant(c); break;
    case outcome::timed_out: demand(c.due <= now_ && !suspended_, "AQ-5: nobody times out before the deadline"); break;
    case outcome::suspended:
        demand(c.due <= now_ && suspended_ && !held_, "RE-10: who times out while the pool is suspended is told so");
        break;
    case outcome::cancelled: demand(e.kind == event_kind::cancel && e.by == &c, "only who cancels is cancelled"); break;
    case outcome::queue_full:
        demand(newcomer && queue_.size() > limits_.max_waiting, "AQ-7: only who finds the queue full is rejected");
        break;
    case outcome::closed: demand(closed_, "only a closed pool says so"); break;
    case outcome::overloaded:
    case outcome::would_deadlock:
    case outcome::unavailable:
    case outcome::auth_failed:
    case outcome::server_full:
    case outcome::refused: settle_refusal(c, e, newcomer); break;
    }
    if (c.tried > 0) {
        forget_shunned();
    }
    c.waits = false;
    queue_.erase(std::find(queue_.begin(), queue_.end(), &c));
    if (queue_.empty()) {
        last_quick_ = now_;
    }
    ++outcomes_[static_cast<std::size_t>(c.result)];
}

void model::settle_refusal(const call& c, const event& e, bool newcomer) {
    if (c.result == outcome::overloaded) {
        demand(newcomer && limits_.shed_target.count() > 0 && !suspended_ && queue_.size() > 1 &&
                   now_ - queue_.front()->came > limits_.shed_target,
               "AQ-8: who is shed comes behind one who has waited too long");
        demand(now_ - last_quick_ >= limits_.shed_interval || settings_since_ >= last_quick_,
               "AQ-8: nobody is shed before a whole interval was slow");
    } else if (c.result == outcome::would_deadlock) {
        demand(ring_is_closed(), "AQ-15: only where all who hold a connection wait, one of them is told");
        const auto keeps_one = [](const call* each) {  // what was closed underneath its lease is kept no more
            return each->keeps != nullptr && each->keeps->at == phase::leased;
        };
        const auto last = std::find_if(queue_.rbegin(), queue_.rend(), keeps_one);
        demand(*last == &c, "AQ-15: it is the last of them who is told");
    } else if (c.result == outcome::refused) {
        demand(queue_.front() == &c, "LC-8: a hook refuses whose turn it is");
        const bool told = e.kind == event_kind::task_done && e.verdict == core::verdict::refused;
        const bool has_been_asked = e.kind == event_kind::task_done && c.tried > most();
        const bool nothing_else =
            n(phase::idle) > 0 && all_idle_are_shunned() && n(phase::idle) + waiting_holders() == total();
        const bool shut = backoff_.probing() && is_final(backoff_.cause());
        demand(told || has_been_asked || (nothing_else && (total() >= most() || shut)),
               "VA-4: nobody is given up before every connection was tried");
    } else {
        const auto why = backoff_.cause();
        const bool hopeless = backoff_.probing() && is_final(why) && !backoff_.surely_open();
        demand(hopeless || (newcomer && backoff_.fails_fast(now_)),
               "RE-6: callers are given up only if the login is refused, or newcomers in an outage");
        demand(c.result == (why == dial_failure::refused ? outcome::auth_failed
                            : why == dial_failure::full  ? outcome::server_full
                                                         : outcome::unavailable),
               "AQ-14: who is given up is told why");
        demand(!suspended_, "RE-10: a suspended pool gives nobody up");
        given_up_ = true;
        asked_ = asked_ || newcomer;
    }
}

/// Whether the same event may have closed it before somebody else's was lent.
bool model::may_have_left(const line& l) const {
    return is_due(l) || (limits_.idle_timeout.count() > 0 && l.idle_since + limits_.idle_timeout <= now_);
}

/// A connection that lies idle is lent in order, and checked before if there is doubt about it.
void model::check_lendable(const line& l) const {
    demand(l.at == phase::idle, "only what is free is lent");
    demand(!must_leave(l), "nobody is given what must leave");
    demand(!l.suspect, "VA-3: what is suspect is checked before it is lent");
    if (limits_.validate_after && punctual_) {
        const auto each = std::max<std::chrono::milliseconds>(*limits_.validate_after, std::chrono::milliseconds{1});
        const auto since = std::max({l.idle_since, l.laid_back ? l.alive_at : l.idle_since, settings_since_});
        demand(now_ <= since + *limits_.validate_after + each,
               "VA-1: what lay idle for long is checked before it is lent");
        demand(l.laid_back || limits_.validate_after->count() > 0 || settings_since_ > l.idle_since,
               "VA-1: with 0 everything that lay idle is checked");
    }
    for (const line& other : lines_) {
        if (other.at == phase::idle && !other.laid_back && !l.laid_back && !may_be_doubted(other) &&
            !may_have_left(other)) {
            demand(limits_.first_in_first_out ? l.freed <= other.freed : l.freed >= other.freed,
                   "AQ-3: idle connections are lent in the order that was asked for");
        }
    }
}

void model::grant(call& c) {
    demand(!queue_.empty() && queue_.front() == &c, "AQ-2: waiters are granted in the order in which they came");
    demand(!suspended_, "RE-10: a suspended pool lends nothing");
    line& l = line_of(*c.granted);
    if (&l == subject_) {
        demand(l.at == phase::free, "nobody is given what must leave");
        demand(l.checked || !limits_.checks_each, "LC-8: what is checked each time is not given without");
        subject_ = nullptr;
    } else {
        demand(!limits_.checks_each, "LC-8: what is checked each time is not given without");
        check_lendable(l);
    }
    lend(l);
    if (now_ - c.came <= limits_.shed_target) {
        last_quick_ = now_;
    }
}

}  // namespace simulation
