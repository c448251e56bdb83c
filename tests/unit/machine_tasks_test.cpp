// What is done with a connection between two callers: checks, keepalives, hooks.
#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("VA-1: a connection used a moment ago is lent without a question, one that lay idle is asked first") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s}};
    auto* const s = d.idle(1).front();
    for (int i = 0; i < 1'000; ++i) {
        REQUIRE(d.machine.try_acquire() == s);
        d.release(*s);
        d.pass_until(d.now + 1s - 1ns);
    }
    CHECK(d.numbers().checks.value() == 0);
    d.pass_until(d.now + 2s);
    CHECK(d.machine.try_acquire() == nullptr);
    auto& w = d.wait();
    CHECK(d.working(task::check) == std::vector<slot*>{s});
    CHECK(w.result == outcome::pending);
    d.done(*s);
    CHECK(w.granted == s);
}

TEST_CASE("VA-1: with 0 everything that lay idle is asked, and what is handed on directly is not") {
    machine_driver d{{.max = 1, .validate_after = 0ms}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    d.release(*s);
    CHECK(w.granted == s);
    d.release(*s);
    CHECK(d.machine.try_acquire() == nullptr);
    d.wait();
    CHECK(d.working(task::check).size() == 1);
    d.done(*s);
}

TEST_CASE("VA-2: a check that takes too long costs the connection and the caller goes on with another") {
    machine_driver d{
        {.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s, .check_timeout = 500ms}};
    const auto s = d.idle(2);
    d.pass_until(d.now + 2s);
    auto& w = d.wait(5s);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[1]});
    CHECK(d.wake <= d.now + 500ms);
    d.tick_after(500ms);
    CHECK(d.closing() == std::vector<slot*>{s[1]});
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[0]});
    d.done(*s[0]);
    CHECK(w.granted == s[0]);
    d.done(*s[1]);  // late
    CHECK(d.commands.empty());
    CHECK(d.numbers().invalid.value() == 1);
}

TEST_CASE("VA-3: after one loss everything that was idle then is asked before it is lent") {
    for (const auto from : {slot_state::idle, slot_state::leased, slot_state::resetting}) {
        machine_driver d{{.max = 3}};
        const auto s = d.lease(3);
        d.release(*s[0]);
        d.release(*s[1]);
        if (from != slot_state::leased) {
            d.release(*s[2], from == slot_state::idle ? returned::clean : returned::unclean);
        }
        REQUIRE(s[2]->state == from);
        d.lose(*s[2]);
        auto& w = d.wait();
        CHECK(d.working(task::check) == std::vector<slot*>{s[1]});
        d.done(*s[1]);
        CHECK(w.granted == s[1]);
        d.release(*s[1]);
        CHECK(d.machine.try_acquire() == s[1]);  // used since: no longer suspect
        CHECK(d.machine.try_acquire() == nullptr);
    }
}

TEST_CASE("VA-4: a pool of dead connections ends in one fresh connect") {
    machine_driver d{{.max = 3, .validate_after = 0ms}};
    d.idle(3);
    auto& w = d.wait();
    for (int i = 0; i < 3; ++i) {
        REQUIRE(d.working(task::check).size() == 1);
        auto* const s = d.working(task::check).front();
        d.done(*s, verdict::bad);
        d.commands.erase(std::remove_if(d.commands.begin(), d.commands.end(),
                                        [](const command& c) { return c.kind == command_kind::dial; }),
                         d.commands.end());
    }
    CHECK(d.numbers().checks.value() == 3);
    for (const auto& s : d.machine.slots()) {
        if (s.state == slot_state::closing) {
            d.end(const_cast<slot&>(s));
        }
    }
    CHECK(d.numbers().dials.value() == 4);
    for (const auto& s : d.machine.slots()) {
        if (s.state == slot_state::connecting) {
            d.open(const_cast<slot&>(s));
            break;
        }
    }
    CHECK(w.result == outcome::granted);
}

TEST_CASE("VA-4: a hook that wants another connection each time is asked max + 1 times and no more") {
    machine_driver d{{.max = 3, .checks_each = true}};
    auto& first = d.wait();
    d.open(*d.dialed().front());
    int asked = 0;
    while (first.result == outcome::pending && asked < 100) {
        REQUIRE(d.working(task::check).size() == 1);
        ++asked;
        d.done(*d.working(task::check).front(), verdict::elsewhere);
    }
    CHECK(first.result == outcome::refused);
    CHECK(asked == 4);
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
