// Each event in each state of a connection.
#include "machine_driver.hpp"

#include <string>

using namespace trunkline::core;
using namespace std::chrono_literals;

namespace {

constexpr limits some{.max = 1, .idle_timeout = 1'000s, .max_lifetime = 0ms, .clean_timeout = 10s};

/// Brings the one connection of `d` into a state, nobody waiting.
slot& in_state(machine_driver& d, slot_state wanted) {
    if (wanted == slot_state::connecting) {
        auto& w = d.wait();
        slot& s = *d.dialed().front();
        d.cancel(w);
        return s;
    }
    slot& s = *d.lease(1).front();
    switch (wanted) {
    case slot_state::idle: d.release(s); break;
    case slot_state::resetting: d.release(s, returned::unclean); break;
    case slot_state::closing: d.release(s, returned::spoilt); break;
    case slot_state::vacant:
        d.release(s, returned::spoilt);
        d.end(s);
        break;
    case slot_state::leased:
    case slot_state::connecting: break;
    }
    return s;
}

using st = slot_state;

struct row {
    const char* event;
    void (*run)(machine_driver&, slot&);
    st vacant, connecting, idle, leased, resetting, closing;  // what each state becomes
};

const row rows[] = {
    {"lost", [](machine_driver& d, slot& s) { d.lose(s); }, st::vacant, st::connecting, st::closing, st::leased,
     st::closing, st::closing},
    {"a rollback's good answer", [](machine_driver& d, slot& s) { d.done(s); }, st::vacant, st::connecting, st::idle,
     st::leased, st::idle, st::closing},
    {"a rollback's bad answer", [](machine_driver& d, slot& s) { d.done(s, verdict::bad); }, st::vacant, st::connecting,
     st::idle, st::leased, st::closing, st::closing},
    {"a tick before anything is due", [](machine_driver& d, slot&) { d.tick_after(1s); }, st::vacant, st::connecting,
     st::idle, st::leased, st::resetting, st::closing},
    {"a tick after every deadline",
     [](machine_driver& d, slot&) {
         d.tick_after(1'000s);  // seen idle
         d.tick_after(1'000s);
     },
     st::vacant, st::connecting, st::closing, st::leased, st::closing, st::closing},
    {"the same settings again", [](machine_driver& d, slot&) { d.reconfigure(some); }, st::vacant, st::connecting,
     st::idle, st::leased, st::resetting, st::closing},
    {"settings that need other sessions", [](machine_driver& d, slot&) { d.reconfigure(some, true); }, st::vacant,
     st::connecting, st::closing, st::leased, st::resetting, st::closing},
    {"rotate", [](machine_driver& d, slot&) { d.rotate(); }, st::vacant, st::connecting, st::closing, st::leased,
     st::resetting, st::closing},
    {"evict", [](machine_driver& d, slot&) { d.evict(); }, st::vacant, st::connecting, st::closing, st::leased,
     st::resetting, st::closing},
    {"suspend", [](machine_driver& d, slot&) { d.suspend(); }, st::vacant, st::connecting, st::idle, st::leased,
     st::resetting, st::closing},
    {"a lower cap", [](machine_driver& d, slot&) { d.cap(0); }, st::vacant, st::connecting, st::closing, st::leased,
     st::resetting, st::closing},
    {"close with grace", [](machine_driver& d, slot&) { d.close(10s); }, st::vacant, st::connecting, st::closing,
     st::leased, st::closing, st::closing},
    {"close and the end of its grace",
     [](machine_driver& d, slot&) {
         d.close(10s);
         d.tick_after(10s);
     },
     st::vacant, st::connecting, st::closing, st::closing, st::closing, st::closing},
};

struct state_row {
    const char* name;
    st from;
    st row::*to;
};

const state_row states[] = {
    {"vacant", st::vacant, &row::vacant},
    {"connecting", st::connecting, &row::connecting},
    {"idle", st::idle, &row::idle},
    {"leased", st::leased, &row::leased},
    {"resetting", st::resetting, &row::resetting},
    {"closing", st::closing, &row::closing},
};

}  // namespace

TEST_CASE("SA-3: each event has its effect in each state, and none where it comes late") {
    for (const auto& event : rows) {
        for (const auto& state : states) {
            INFO(event.event << " while " << state.name);
            machine_driver d{some};
            slot& s = in_state(d, state.from);
            REQUIRE(s.state == state.from);
            event.run(d, s);
            CHECK(static_cast<int>(s.state) == static_cast<int>(event.*state.to));
            CHECK(d.machine.lent_out() == (state.from == st::leased ? 1U : 0U));
        }
    }
}

TEST_CASE("a connection lost twice is counted once") {
    for (const auto from : {slot_state::idle, slot_state::resetting}) {
        machine_driver d{some};
        slot& s = in_state(d, from);
        d.lose(s);
        d.lose(s);
        CHECK(d.commands.empty());
        d.end(s);
        d.lose(s);
        CHECK(d.numbers().lost.value() == 1);
    }
}

TEST_CASE("a slot is taken again, and the pool keeps no more slots than it had sessions at a time") {
    machine_driver d{some};
    for (int i = 0; i < 5; ++i) {
        slot& s = *d.lease(1).front();
        d.release(s, returned::spoilt);
        d.end(s);
    }
    CHECK(d.machine.slots().size() == 1);
    CHECK(d.numbers().dials.value() == 5);
}

TEST_CASE("the counters add up after any mixture of ends") {
    machine_driver d{{.max = 8, .max_connecting = 8}};
    const auto s = d.lease(4);
    d.release(*s[0]);
    d.release(*s[1], returned::unclean);
    d.lose(*s[0]);
    d.release(*s[2], returned::spoilt);
    auto& w = d.wait();
    d.fail(*d.dialed().front());
    d.cancel(w);
    const auto& n = d.numbers();
    CHECK(n.dials.value() == n.opened.value() + n.dials_failed.value() + n.connecting.value());
    CHECK(n.opened.value() == n.idle.value() + n.leased.value() + n.resetting.value() + n.closing.value());
    CHECK(n.lost.value() == 1);
    CHECK(n.discarded.value() == 1);
    CHECK(n.cleanings.value() == 1);
    CHECK(n.granted.value() == 4);
    CHECK(n.cancelled.value() == 1);
    CHECK(n.waiting.value() == 0);
}
