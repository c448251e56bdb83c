#include "world.hpp"

#include "words.hpp"

#include <algorithm>

namespace simulation {

world::world(std::uint64_t seed, history::mode how)
    : dice_{seed},
      plan_{draw_scenario(dice_)},
      past_{how},
      machine_{plan_.limits, seed},
      model_{machine_, plan_.limits, plan_.punctual, plan_.patient},
      clients_(plan_.clients),
      now_{history::origin},
      highest_max_{plan_.limits.max} {
    std::size_t number = 0;
    for (auto& c : clients_) {
        c.number = number++;
    }
}

/// After a violation waiters may still be queued: they must leave before the machine does.
world::~world() {
    for (auto& c : clients_) {
        core::actions out;
        if (c.now.result == core::outcome::pending && c.now.in_order.is_linked()) {
            machine_.cancel(c.now, out);
            out.settled.clear();
        }
    }
}

void world::later(kind what, std::chrono::nanoseconds delay, void* whom, std::uint64_t serial) {
    const auto later_than = [](const happening& a, const happening& b) {
        return a.at != b.at ? a.at > b.at : a.tie > b.tie;
    };
    heap_.push_back({now_ + delay, dice_.next(), what, whom, serial});
    std::push_heap(heap_.begin(), heap_.end(), later_than);
}

std::chrono::nanoseconds world::up_to(microseconds longest) {
    if (longest.count() == 0) {
        return {};
    }
    const auto grains = longest / plan_.grain;
    return plan_.grain * dice_.between(0, grains);
}

/// False when nothing is left to happen.
bool world::step() {
    const auto later_than = [](const happening& a, const happening& b) {
        return a.at != b.at ? a.at > b.at : a.tie > b.tie;
    };
    if (heap_.empty()) {
        return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later_than);
    const happening next = heap_.back();
    heap_.pop_back();
    now_ = next.at;
    happen(next);
    return true;
}

void world::happen(const happening& h) {
    auto* const c = static_cast<client*>(h.whom);
    auto* const l = static_cast<line*>(h.whom);
    const auto now = [&](auto& whom, auto member) {
        if (whom->serial == h.serial) {
            (this->*member)(*whom);
        }
    };
    switch (h.what) {
    case kind::tick: tick(); break;
    case kind::begin: begin(*c); break;
    case kind::give_up: now(c, &world::give_up); break;
    case kind::told: told(*c); break;
    case kind::give_back: give_back(*c); break;
    case kind::nest: nest(*c); break;
    case kind::dial: dial(*l); break;
    case kind::work: work(*l); break;
    case kind::close: close(*l); break;
    case kind::dial_ends: now(l, &world::dial_ends); break;
    case kind::dial_aborted: now(l, &world::dial_aborted); break;
    case kind::hook_starts: hook_starts(*l); break;
    case kind::task_ends: task_ends(*l); break;
    case kind::server_let_go: let_go(*l); break;
    case kind::closed: act({.kind = event_kind::closed, .now = now_, .at = l}); break;
    case kind::dies: now(l, &world::dies); break;
    case kind::lost:
        if (l->serial == h.serial) {
            act({.kind = event_kind::lost, .now = now_, .at = l, .flag = dice_.chance(plan_.ended_by_server)});
        }
        break;
    case kind::server_changes: server_changes(); break;
    case kind::meddle: meddle(); break;
    case kind::resume: resume(); break;
    }
}

/// The face's one timer: it fires for the earliest moment asked for, and is armed anew by the answer.
void world::tick() {
    if (armed_ > now_) {
        return;  // an older arming: it was followed by an earlier one that has fired
    }
    armed_ = core::never;
    act({.kind = event_kind::tick, .now = now_});
}

void world::arm(core::time_point wake) {
    if (wake < armed_) {
        armed_ = wake;
        later(kind::tick, std::max(armed_ - now_, std::chrono::nanoseconds{0}) +
                              (plan_.punctual ? std::chrono::nanoseconds{0} : up_to(microseconds{20'000})));
    }
}

void world::act(const event& e) {
    ++(e.kind == event_kind::tick ? ticks_ : steps_);
    core::actions out;
    past_.note(now_, name_of(e.kind), e.at != nullptr ? " of connection " + std::to_string(e.at->number) : "",
               e.by != nullptr ? " by client " + std::to_string(e.by->client) : "", detail_of(e));
    tell_machine(e, out);
    arm(out.wake);
    note_decisions(out);
    model_.after(e, out, armed_);
    carry_out(out);
    if (out.closes) {
        abort_dials();
    }
    check_server();
}

void world::tell_machine(const event& e, core::actions& out) {
    switch (e.kind) {
    case event_kind::start: machine_.start(e.now, e.deadline, out); break;
    case event_kind::wait: machine_.wait(*e.by, e.now, out); break;
    case event_kind::cancel: machine_.cancel(*e.by, out, e.now); break;
    case event_kind::release: machine_.release(*e.at->slot, e.how, e.untold ? core::never : e.now, out); break;
    case event_kind::detach: machine_.detach(*e.at->slot, e.now, out); break;
    case event_kind::hook_begins: hook_runs_ = machine_.hook_begins(*e.at->slot, e.now, out); break;
    case event_kind::task_done: machine_.task_done(*e.at->slot, e.verdict, e.now, out); break;
    case event_kind::opened: machine_.opened(*e.at->slot, e.now, out); break;
    case event_kind::open_failed: machine_.open_failed(*e.at->slot, e.why, e.now, out); break;
    case event_kind::lost: machine_.lost(*e.at->slot, e.flag, e.now, out); break;
    case event_kind::closed: machine_.closed(*e.at->slot, e.now, out); break;
    case event_kind::tick: machine_.tick(e.now, out); break;
    case event_kind::reconfigure: machine_.reconfigure(*e.given, e.flag, e.now, out); break;
    case event_kind::cap: machine_.cap(e.most, e.now, out); break;
    case event_kind::rotate: machine_.rotate(e.now, out); break;
    case event_kind::evict:
        machine_.evict(
            [&](const core::slot& s) { return !e.flag || static_cast<const line*>(s.connection)->number % 2 == 1; },
            e.now, out);
        break;
    case event_kind::suspend: machine_.suspend(e.flag, e.now, out); break;
    case event_kind::resume: machine_.resume(e.now, out); break;
    case event_kind::close: machine_.close(e.deadline, e.now, out); break;
    case event_kind::announce_close: machine_.announce_close(e.deadline, e.grace, e.now, out); break;
    }
    machine_.check();
}

void world::note_decisions(const core::actions& out) {
    for (const auto& w : out.settled) {
        past_.note(now_, "    client ", static_cast<const call&>(w).client, " is ", name_of(w.result));
    }
    for (const auto& command : out.commands) {
        const auto* l = static_cast<const line*>(command.target->connection);
        past_.note(now_, "    ", name_of(command), " connection ", l != nullptr ? std::to_string(l->number) : "new",
                   name_of(command.reason));
    }
}

/// The outcomes and commands of one event reach those concerned later, in any order.
void world::carry_out(core::actions& out) {
    while (!out.settled.empty()) {
        auto& c = static_cast<call&>(out.settled.front());
        out.settled.pop_front();
        later(kind::told, up_to(plan_.carry), &clients_[c.client]);
    }
    for (const auto& command : out.commands) {
        line& l = model::line_of(*command.target);
        if (command.kind == core::command_kind::report_leak) {
            continue;
        }
        if (!calm_ && dice_.chance(plan_.starved)) {
            put_off(l, command);
            continue;
        }
        const auto what = command.kind == core::command_kind::dial   ? kind::dial
                          : command.kind == core::command_kind::work ? kind::work
                                                                     : kind::close;
        if (what == kind::dial) {
            session_of(l).dialing = true;
            if (closed_) {  // it had been put off
                later(kind::dial_aborted, up_to(plan_.carry), &l, l.serial);
            }
        }
        const bool promptly = calm_ && what == kind::work;  // else a short time-out ends every task
        later(what, promptly ? std::chrono::nanoseconds{0} : up_to(plan_.carry), &l, l.serial);
    }
}

/// There is no memory to carry it out: the machine gives it out again.
void world::put_off(line& l, const core::command& command) {
    past_.note(now_, "    no memory: it is put off");
    core::actions out;
    machine_.put_off(command, out);
    machine_.check();
    l.put_off |= bit_of(command.kind);
    arm(out.wake);
}

/// SZ-1, by the server's own count.
void world::check_server() const {
    demand(on_server_ <= model_.total(), "the server has no session that the pool does not count");
    demand(on_server_ <= highest_max_, "SZ-1: the server never sees more sessions than max");
}

/// No new trouble: everybody who still waits must be served or time out.
void world::settle_down() {
    calm_ = true;
    weather_ = weather::up;
    resume();
    act({.kind = event_kind::cap, .now = now_, .most = plan_.limits.max});
    const auto horizon = now_ + std::chrono::seconds{60};
    const auto busy = [](const client& c) { return c.busy; };
    while (now_ < horizon && std::any_of(clients_.begin(), clients_.end(), busy)) {
        if (!step()) {
            break;
        }
    }
    demand(std::none_of(clients_.begin(), clients_.end(), busy), "a server that is up serves everybody who waits");
}

/// It goes on as ever until the moment comes; or until somebody does not wait for that.
void world::announce_close() {
    for (auto callers = dice_.between(1, 2); callers > 0; --callers) {
        act({.kind = event_kind::announce_close,
             .now = now_,
             .deadline = now_ + up_to(plan_.hold),
             .grace = std::chrono::milliseconds{dice_.between(0, 20)}});
    }
    for (auto patience = dice_.between(0, 300); patience > 0 && !closed_ && step(); --patience) {
    }
}

/// The pool is closed from now on.
void world::abort_dials() {
    closed_ = true;
    for (line& l : model_.lines()) {
        if (session_of(l).dialing) {
            later(kind::dial_aborted, up_to(plan_.carry), &l, l.serial);
        }
    }
}

/// Whatever is under way, `close` brings it to an end, and the leases that are out may come back after it.
void world::shut_down() {
    if (dice_.chance(30)) {
        announce_close();
    }
    if (!closed_) {
        const bool bounded = dice_.chance(70);
        act({.kind = event_kind::close, .now = now_, .deadline = bounded ? now_ + up_to(plan_.hold) : core::never});
    }
    for (auto patience = dice_.between(0, 30); patience > 0 && step(); --patience) {
    }
    if (dice_.chance(50)) {  // somebody else closes it too
        act({.kind = event_kind::close, .now = now_, .deadline = now_ + up_to(plan_.hold)});
    }
    while (step()) {
    }
    demand(model_.finished(), "close ends");
    demand(on_server_ == 0, "SH-5: no session outlives the pool");
    for (const auto& c : clients_) {
        demand(!c.busy, "each waiter is told");
    }
}

void world::note_limits() {
    const auto& l = plan_.limits;
    past_.note(now_, "limits: min ", l.min, ", min_idle ", l.min_idle, ", max ", l.max, ", max_connecting ",
               l.max_connecting, ", max_waiting ", l.max_waiting, ", anticipation ", l.anticipation.count(),
               ", backoff ", l.backoff_initial.count(), " to ", l.backoff_max.count(), ", idle_timeout ",
               l.idle_timeout.count(), ", max_lifetime ", l.max_lifetime.count(), ", keepalive ", l.keepalive.count(),
               ", max_uses ", l.max_uses, ", validate_after ", l.validate_after ? l.validate_after->count() : -1,
               ", lease_timeout ", l.lease_timeout.count(), ", leak_threshold ", l.leak_threshold.count(),
               ", shed_target ", l.shed_target.count(), ", fail_fast ",
               l.fail_fast_after ? l.fail_fast_after->count() : -1, l.first_in_first_out ? ", fifo" : "",
               l.prepares ? ", prepares" : "", l.checks_each ? ", checks" : "", l.cleans_each ? ", cleans" : "",
               l.says_farewell ? ", says farewell" : "");
}

void world::run() {
    note_limits();
    if (plan_.patient) {
        machine_.be_patient();
    }
    if (plan_.started) {
        act({.kind = event_kind::start, .now = now_, .deadline = now_ + up_to(microseconds{200'000})});
    }
    for (auto& c : clients_) {
        later(kind::begin, up_to(plan_.think), &c);
    }
    if (plan_.calm.count() > 0) {
        later(kind::server_changes, up_to(plan_.calm));
    }
    if (plan_.meddling.count() > 0) {
        later(kind::meddle, up_to(plan_.meddling));
    }
    const auto most_ticks = plan_.steps * 2;  // where ages are kept by the millisecond there are many
    while (steps_ < plan_.steps && ticks_ < most_ticks && step()) {
    }
    if (dice_.chance(60)) {
        settle_down();
    }
    shut_down();
}

}  // namespace simulation
