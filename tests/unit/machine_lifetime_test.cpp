#include "machine_driver.hpp"

#include <algorithm>

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("SZ-8: an idle connection is closed after its time-out, never earlier, at most an eighth later") {
    machine_driver d{{.min = 0, .max = 4, .idle_timeout = 8s, .max_lifetime = 0ms}};
    auto* const s = d.idle(1).front();
    const auto idle_since = d.now;
    const auto before = d.pass_until(idle_since + 8s - 1ns);
    CHECK(before.empty());
    const auto then = d.pass_until(idle_since + 9s);
    REQUIRE(then.size() == 1);
    CHECK(then.front().target == s);
    CHECK(then.front().reason == leave_reason::idle);
    CHECK(d.numbers().reaped_idle.value() == 1);
}

TEST_CASE("a sweep that comes early for another connection's age makes no reaping late") {
    const time_point opened = machine_driver{{}}.now;
    // The first connection is leased and never returned: somewhere its age is looked at, between two looks at what
    // lies idle.
    for (auto idle_since = opened + 9'100ms; idle_since < opened + 12s; idle_since += 100ms) {
        machine_driver e{{.min = 0, .max = 4, .idle_timeout = 8s, .max_lifetime = 20s}};
        e.lease(1);
        e.pass_until(idle_since);
        auto* const s = e.lease(1).front();
        e.release(*s);
        auto commands = e.pass_until(idle_since + 9s);
        std::erase_if(commands, [](const command& c) { return c.kind == command_kind::dial; });  // the lifetime's
        REQUIRE(commands.size() == 1);
        CHECK(commands.front().target == s);
        CHECK(commands.front().reason == leave_reason::idle);
    }
}

TEST_CASE("use resets the idle time") {
    machine_driver d{{.min = 0, .max = 4, .idle_timeout = 8s, .max_lifetime = 0ms}};
    auto* const s = d.idle(1).front();
    for (int i = 0; i < 5; ++i) {
        CHECK(d.pass_until(d.now + 7s).empty());
        REQUIRE(d.machine.try_acquire() == s);
        d.release(*s);
    }
    CHECK(d.pass_until(d.now + 8s - 1ns).empty());
    CHECK(d.pass_until(d.now + 1s + 1ns).size() == 1);
}

TEST_CASE("LC-5: no connection is reaped below the floor") {
    machine_driver d{{.min = 2, .max = 4, .idle_timeout = 8s, .max_lifetime = 0ms}};
    const auto s = d.idle(4);
    const auto commands = d.pass_until(d.now + 60s);
    REQUIRE(commands.size() == 2);
    CHECK(commands[0].target == s[0]);
    CHECK(commands[1].target == s[1]);
    CHECK(d.numbers().idle.value() == 2);
}

TEST_CASE("AQ-3: last in, first out leaves a cold tail that is reaped while the rest is used") {
    machine_driver d{{.min = 0, .max = 4, .idle_timeout = 8s, .max_lifetime = 0ms}};
    const auto s = d.idle(3);
    std::vector<command> all;
    for (int i = 0; i < 12; ++i) {
        auto* const used = d.machine.try_acquire();
        REQUIRE(used == s[2]);
        d.release(*used);
        const auto some = d.pass_until(d.now + 1s);
        all.insert(all.end(), some.begin(), some.end());
    }
    REQUIRE(all.size() == 2);
    CHECK(all[0].target == s[0]);
    CHECK(all[1].target == s[1]);
    CHECK(d.machine.try_acquire() == s[2]);
}

TEST_CASE("an idle time-out of 0 reaps nothing") {
    machine_driver d{{.min = 0, .max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    d.idle(2);
    CHECK(d.wake == never);
    d.tick_after(std::chrono::hours{24 * 365});
    CHECK(d.commands.empty());
}

TEST_CASE("an idle connection is closed when its lifetime is over, up to a tenth before the limit") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        machine_driver d{{.min = 0, .max = 1, .idle_timeout = 0ms, .max_lifetime = 100s}, seed};
        d.idle(1);
        const auto opened = d.now;
        CHECK(d.pass_until(opened + 90s - 1ns).empty());
        const auto commands = d.pass_until(opened + 100s);
        REQUIRE(commands.size() == 1);
        CHECK(commands.front().reason == leave_reason::old);
        CHECK(d.numbers().reaped_old.value() == 1);
    }
}

TEST_CASE("connections that are opened together do not leave together") {
    machine_driver d{{.min = 0, .max = 10, .max_connecting = 10, .idle_timeout = 0ms, .max_lifetime = 100s}};
    const auto all = d.idle(10);
    std::vector<time_point> ends;
    for (const auto* s : all) {
        ends.push_back(s->retire_at);
    }
    std::sort(ends.begin(), ends.end());
    CHECK(std::adjacent_find(ends.begin(), ends.end()) == ends.end());
}

TEST_CASE("a leased connection outlives its lifetime and is closed when it comes back") {
    machine_driver d{{.min = 0, .max = 1, .idle_timeout = 0ms, .max_lifetime = 100s}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    CHECK(d.pass_until(d.now + 200s).empty());
    CHECK(d.wake == never);
    d.release(*s);
    CHECK(d.closed_only(*s, leave_reason::old));
    CHECK(w.result == outcome::pending);
    d.end(*s);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
}

TEST_CASE("a connection whose lifetime ends during its rollback is closed after it") {
    machine_driver d{{.min = 0, .max = 1, .idle_timeout = 0ms, .max_lifetime = 100s, .clean_timeout = 60s}};
    auto* const s = d.lease(1).front();
    d.pass_until(d.now + 89s);
    d.release(*s, returned::unclean);
    CHECK(d.pass_until(d.now + 12s).empty());
    d.done(*s);
    CHECK(d.closed_only(*s, leave_reason::old));
}

TEST_CASE("a lifetime of 0 never ends") {
    machine_driver d{{.min = 0, .max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    d.idle(1);
    d.tick_after(std::chrono::hours{24 * 365});
    CHECK(d.commands.empty());
}

TEST_CASE("a connection that comes back inside a transaction is rolled back before the next caller has it") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    d.release(*s, returned::unclean);
    CHECK(d.working(task::clean) == std::vector<slot*>{s});
    CHECK(w.result == outcome::pending);
    CHECK(d.numbers().cleanings.value() == 1);
    d.done(*s);
    CHECK(w.granted == s);
}

TEST_CASE("a rollback that fails closes the connection") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::unclean);
    d.done(*s, verdict::bad);
    CHECK(d.closed_only(*s, leave_reason::discarded));
    CHECK(d.numbers().discarded.value() == 1);
}

TEST_CASE("a rollback that takes too long closes the connection, and its late answer is nothing") {
    machine_driver d{{.max = 1, .clean_timeout = 5s}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::unclean);
    CHECK(d.wake <= d.now + 5s);
    d.tick_after(5s - 1ns);
    CHECK(d.commands.empty());
    d.tick_after(1ns);
    CHECK(d.closed_only(*s, leave_reason::discarded));
    d.done(*s);
    CHECK(d.commands.empty());
    CHECK(s->state == slot_state::closing);
    d.end(*s);
    d.done(*s);
    CHECK(s->state == slot_state::vacant);
}

TEST_CASE("a slot is not taken again while a rollback on its former connection has yet to answer") {
    machine_driver d{{.max = 1, .clean_timeout = 5s}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::unclean);
    d.tick_after(5s);
    d.end(*s);  // the session is gone, the answer is still under way
    d.wait();
    REQUIRE(d.commands.size() == 1);
    CHECK(d.commands[0].target != s);
    CHECK(d.machine.held() == 1);
    d.done(*s, verdict::bad);
    CHECK(d.machine.held() == 0);
}

TEST_CASE("a shorter lifetime holds for connections that are open") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::clean);
    d.tick_after(10s);
    CHECK(s->state == slot_state::idle);
    d.event([&](auto& out) {
        d.machine.reconfigure({.max = 1, .idle_timeout = 0ms, .max_lifetime = 5s}, false, d.now, out);
    });
    CHECK(d.closed_only(*s, leave_reason::old));
}

TEST_CASE("a connection that comes back spoilt is closed") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::spoilt);
    CHECK(d.closed_only(*s, leave_reason::discarded));
    CHECK(d.numbers().discarded.value() == 1);
}

TEST_CASE("LC-11: an idle connection that breaks is closed before anyone can have it") {
    machine_driver d{{.max = 2}};
    const auto s = d.idle(2);
    d.lose(*s[1]);
    CHECK(d.closed_only(*s[1], leave_reason::lost));
    auto& w = d.wait();  // the other one is suspect
    CHECK(d.working(task::check) == std::vector<slot*>{s[0]});
    d.done(*s[0]);
    CHECK(w.granted == s[0]);
    CHECK(d.numbers().lost.value() == 1);
}

TEST_CASE("a leased connection that breaks is closed when it comes back, however it is said to be") {
    for (const auto how : {returned::clean, returned::unclean, returned::spoilt}) {
        machine_driver d{{.max = 1}};
        auto* const s = d.lease(1).front();
        d.lose(*s);
        CHECK(d.commands.empty());
        d.release(*s, how);
        CHECK(d.closed_only(*s, leave_reason::lost));
        CHECK(d.numbers().lost.value() == 1);
        CHECK(d.numbers().discarded.value() == 0);
    }
}
