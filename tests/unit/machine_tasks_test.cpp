// What is done with a connection between two callers: checks, keepalives, hooks.
#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("LC-8: who shall have another connection waits for one that is lent, and is not given up for the idle ones") {
    machine_driver d{{.max = 2, .checks_each = true}};
    auto& other = d.wait();
    d.open(*d.dialed().front());
    auto* const lent = d.working(task::check).front();
    d.done(*lent);
    REQUIRE(other.granted == lent);
    auto& w = d.wait(10s);
    d.open(*d.dialed().front());
    auto* const shunned = d.working(task::check).front();
    d.done(*shunned, verdict::elsewhere);
    CHECK(d.commands.empty());
    CHECK(w.result == outcome::pending);
    d.release(*lent);
    CHECK(d.working(task::check) == std::vector<slot*>{lent});
    SECTION("it is granted that one") {
        d.done(*lent);
        CHECK(w.granted == lent);
    }
    SECTION("his time is over: the next one is offered both") {
        d.done(*lent, verdict::bad);
        d.pass_until(d.now + 10s);
        CHECK(w.result == outcome::timed_out);
        d.wait();
        CHECK(d.working(task::check) == std::vector<slot*>{shunned});
    }
}

TEST_CASE(
    "LC-8: who shall have another connection than the idle ones is given up when all others are held by who waits") {
    machine_driver d{{.max = 2, .checks_each = true}};
    auto& first = d.wait();
    d.open(*d.dialed().front());
    auto* const held = d.working(task::check).front();
    d.done(*held);
    REQUIRE(first.granted == held);
    auto& w = d.wait(machine_driver::duration::max(), held);
    d.open(*d.dialed().front());
    d.done(*d.working(task::check).front(), verdict::elsewhere);
    CHECK(w.result == outcome::refused);
    d.release(*held);
    d.done(*held);
}

TEST_CASE("LC-8: who shall have another connection is given up when the server lets nobody in") {
    machine_driver d{{.max = 3, .max_connecting = 1, .checks_each = true}};
    auto& first = d.wait();
    d.open(*d.dialed().front());
    auto* const only = d.working(task::check).front();
    d.done(*only, verdict::elsewhere);
    REQUIRE(d.dialed().size() == 1);
    CHECK(first.result == outcome::pending);
    auto* const dialed = d.dialed().front();
    auto& second = d.wait();
    d.fail(*dialed, dial_failure::refused);
    CHECK(first.result == outcome::refused);
    REQUIRE(d.working(task::check) == std::vector<slot*>{only});
    d.done(*only);
    CHECK(second.granted == only);
}

TEST_CASE("LC-8: a hook has its own time, whatever the pool's part of the task has taken") {
    const auto what = GENERATE(task::check, task::clean);
    machine_driver d{{.max = 1,
                      .idle_timeout = 0ms,
                      .max_lifetime = 0ms,
                      .clean_timeout = 60s,
                      .check_timeout = 60s,
                      .checks_each = what == task::check,
                      .cleans_each = what == task::clean,
                      .before_acquire_timeout = 2s,
                      .after_release_timeout = 2s}};
    d.wait();
    auto* const s = d.dialed().front();
    d.open(*s);
    if (what == task::clean) {
        d.release(*s);
    }
    REQUIRE(d.working(what) == std::vector<slot*>{s});
    d.tick_after(59s);
    REQUIRE(d.begin_hook(*s));
    CHECK(d.wake <= d.now + 2s);
    d.tick_after(2s - 1ns);
    CHECK(d.closing().empty());
    d.tick_after(1ns);
    CHECK(d.closed_only(*s, what == task::check ? leave_reason::invalid : leave_reason::discarded));
    CHECK_FALSE(d.begin_hook(*s));  // too late for another one
}

TEST_CASE("LC-8: a hook does not begin when the caller has gone on to another connection") {
    machine_driver d{{.max = 1,
                      .idle_timeout = 0ms,
                      .max_lifetime = 0ms,
                      .validate_after = 1s,
                      .check_timeout = 1s,
                      .checks_each = true}};
    d.wait();
    auto* const s = d.dialed().front();
    d.open(*s);
    d.done(*s);
    d.release(*s);
    d.pass_until(d.now + 2s);
    auto& w = d.wait(400ms);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s});
    d.tick_after(200ms);
    CHECK_FALSE(d.begin_hook(*s));
    d.done(*s);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s});  // it has answered, so that the hook is asked now
    REQUIRE(d.begin_hook(*s));
    d.done(*s);
    CHECK(w.granted == s);
}

TEST_CASE("LC-8: a hook that refuses the caller keeps the connection for the next one") {
    machine_driver d{{.max = 1, .checks_each = true}};
    auto& first = d.wait();
    auto& second = d.wait();
    auto* const s = d.dialed().empty() ? const_cast<slot*>(&d.machine.slots().front()) : d.dialed().front();
    d.open(*s);
    d.done(*s, verdict::refused);
    CHECK(first.result == outcome::refused);
    CHECK(d.working(task::check) == std::vector<slot*>{s});
    d.done(*s);
    CHECK(second.granted == s);
}

TEST_CASE("LC-8: a new connection is prepared before it joins, and one that cannot be is a failed dial") {
    for (const bool late : {false, true}) {
        machine_driver d{{.max = 2, .prepares = true, .prepare_timeout = 3s}};
        auto& w = d.wait();
        auto* const s = d.dialed().front();
        d.open(*s);
        CHECK(d.working(task::prepare) == std::vector<slot*>{s});
        CHECK(w.result == outcome::pending);
        if (late) {
            d.tick_after(3s);
        } else {
            d.done(*s, verdict::bad);
        }
        CHECK(d.closed_only(*s, leave_reason::unprepared));
        CHECK(d.machine.gate().is_probing());
        CHECK_FALSE(d.machine.gate().is_open());
    }
}

TEST_CASE("RE-12: what prepares a new connection has what the dial has left of its time, and no more than its own") {
    const auto left = GENERATE(40ms, 5'000ms);
    machine_driver d{{.max = 2, .prepares = true, .prepare_timeout = 3s}};
    d.wait();
    auto* const s = d.dialed().front();
    d.event([&](auto& out) { d.machine.opened(*s, d.now, out, d.now + left); });
    d.commands.clear();
    const auto given = std::min<std::chrono::milliseconds>(left, 3s);
    CHECK(d.pass_until(d.now + given - 1ns).empty());
    const auto after = d.pass_until(d.now + 1ns);
    REQUIRE(after.size() == 1);
    CHECK(after.front().reason == leave_reason::unprepared);
}

TEST_CASE("SH-2: at the end of the grace nobody waits for a goodbye any more") {
    machine_driver d{{.max = 1, .says_farewell = true, .farewell_timeout = 60s}};
    auto* const s = d.idle(1).front();
    d.close(1s);
    CHECK(d.working(task::farewell) == std::vector<slot*>{s});
    d.commands.clear();
    d.tick_after(1s);
    CHECK(d.closed_only(*s, leave_reason::shutdown));
}

TEST_CASE("LC-8: who is told before the goodbye is closed after it, or when it takes too long") {
    for (const bool late : {false, true}) {
        machine_driver d{{.max = 1, .says_farewell = true, .farewell_timeout = 200ms}};
        auto* const s = d.lease(1).front();
        d.release(*s, returned::spoilt);
        CHECK(d.working(task::farewell) == std::vector<slot*>{s});
        CHECK(d.closing().empty());
        CHECK(s->state == slot_state::closing);
        if (late) {
            d.tick_after(200ms);
        } else {
            d.done(*s);
        }
        CHECK(d.closed_only(*s, leave_reason::discarded));
        d.end(*s);
        d.wait();
        CHECK((d.dialed().front() == s) == !late);  // the task holds its slot still
    }
}

TEST_CASE("LC-6: an idle connection is kept alive after its interval, and is lent first or last as before") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .keepalive = 100s}};
    const auto s = d.idle(2);
    const auto begin = d.now;
    CHECK(d.pass_until(begin + 90s - 1ns).empty());
    std::vector<slot*> asked;
    while (d.now < begin + 125s) {
        d.pass_until(d.wake);
        for (auto* each : d.working(task::keepalive)) {
            asked.push_back(each);
            d.done(*each);
        }
    }
    REQUIRE(asked.size() == 2);
    CHECK(asked[0] != asked[1]);
    CHECK(d.machine.try_acquire() == s[1]);
    CHECK(d.numbers().keepalives.value() == 2);
}

TEST_CASE("LC-6: a connection that does not answer is closed, and no new one is dialed while it is asked") {
    machine_driver d{{.max = 4, .idle_timeout = 0ms, .max_lifetime = 0ms, .min_idle = 1, .keepalive = 100s}};
    auto* const s = d.idle(1).front();
    d.start();
    while (d.working(task::keepalive).empty()) {
        d.pass_until(d.wake);
        REQUIRE(d.dialed().empty());
    }
    d.done(*s, verdict::bad);
    CHECK(d.closing() == std::vector<slot*>{s});
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("TO-10: a lease ends at its deadline, never early, and its slot is taken again when the lease is gone") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms, .lease_timeout = 8s}};
    auto* const s = d.lease(1).front();
    const auto begin = d.now;
    CHECK(d.pass_until(begin + 8s - 1ns).empty());
    const auto then = d.pass_until(begin + 9s);
    REQUIRE(then.size() == 1);
    CHECK(then.front().reason == leave_reason::expired);
    CHECK(d.numbers().expired.value() == 1);
    auto& w = d.wait();
    d.end(*s);
    REQUIRE(d.dialed().size() == 1);
    CHECK(d.dialed().front() != s);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
    d.release(*s);
    CHECK(d.commands.empty());
}

TEST_CASE("a leak is reported once for each lease and never early") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms, .leak_threshold = 8s}};
    auto* const s = d.lease(1).front();
    for (int i = 0; i < 3; ++i) {
        const auto begin = d.now;
        CHECK(d.pass_until(begin + 8s - 1ns).empty());
        const auto then = d.pass_until(begin + 60s);
        REQUIRE(then.size() == 1);
        CHECK(then.front().kind == command_kind::report_leak);
        d.release(*s);
        REQUIRE(d.machine.try_acquire() == s);
    }
    CHECK(d.numbers().leaks.value() == 3);
}

TEST_CASE("LC-11: an idle connection that ends is closed before anyone can have it") {
    for (const bool server_ends : {false, true}) {
        machine_driver d{{.max = 1}};
        auto* const s = d.idle(1).front();
        d.lose(*s, server_ends);
        CHECK(d.machine.try_acquire() == nullptr);
        CHECK(d.closed_only(*s, leave_reason::lost));
    }
}
