// Whether an idle connection is asked for a sign of life before it is lent, and what comes of it.
#include "machine_driver.hpp"

#include <set>

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

TEST_CASE("VA-2: a check that has taken half of what was left of the caller's time is no longer waited for") {
    machine_driver d{
        {.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s, .check_timeout = 500ms}};
    const auto s = d.idle(2);
    d.pass_until(d.now + 2s);
    auto& w = d.wait(300ms);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[1]});
    d.tick_after(150ms);
    CHECK(d.closing().empty());  // it may still be well
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[0]});
    d.done(*s[0]);
    CHECK(w.granted == s[0]);
    SECTION("late, but in its own time: it stays") {
        d.tick_after(349ms);
        d.done(*s[1]);
        CHECK(d.commands.empty());
        CHECK(d.machine.try_acquire() == s[1]);
    }
    SECTION("its own time is over: it is closed") {
        d.tick_after(350ms);
        CHECK(d.closed_only(*s[1], leave_reason::invalid));
    }
}

TEST_CASE("VA-2: where there is no other connection, one is dialed when half of the caller's time is over") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s}};
    auto* const silent = d.idle(1).front();
    d.pass_until(d.now + 2s);
    auto& w = d.wait(300ms);
    REQUIRE(d.working(task::check) == std::vector<slot*>{silent});
    d.tick_after(150ms);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
    CHECK(w.granted != silent);
}

TEST_CASE("VA-2: a check is hurried for whoever among those who wait has the least time, also if he comes later") {
    machine_driver d{{.max = 3, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s}};
    const auto s = d.idle(3);
    d.pass_until(d.now + 2s);
    SECTION("he comes behind another, and there is a third connection") {
        d.wait(5s);
        auto& hasty = d.wait(100ms);
        d.tick_after(50ms);
        REQUIRE(d.working(task::check) == std::vector<slot*>{s[0]});
        d.done(*s[0]);
        CHECK(hasty.result == outcome::pending);  // it went to the first in the queue
    }
    SECTION("the other has given up") {
        auto& slow = d.wait(5s);
        d.cancel(slow);
        auto& hasty = d.wait(100ms);
        CHECK(d.commands.empty());  // a check is under way
        d.tick_after(50ms);
        REQUIRE(d.working(task::check) == std::vector<slot*>{s[1]});
        d.done(*s[1]);
        CHECK(hasty.granted == s[1]);
    }
}

TEST_CASE("VA-2: who came while deadlines were held has half of the time to wait for a check that began before") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 1s}};
    const auto s = d.idle(2);
    d.pass_until(d.now + 2s);
    d.cancel(d.wait(60s));
    REQUIRE(d.numbers().checks.value() == 1);
    d.suspend(true);
    d.now += 100ms;
    auto& hasty = d.wait(200ms);
    d.now += 100ms;
    d.resume();
    CHECK(d.commands.empty());  // a check is under way
    d.tick_after(100ms);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[0]});
    d.done(*s[0]);
    CHECK(hasty.granted == s[0]);
}

TEST_CASE("VA-4: a connection that answers too late for one who waits is not asked again for the next") {
    // With a hook, without which it is lent as soon as it has answered.
    limits with_hook{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms};
    machine_driver d{with_hook};
    auto* const only = d.idle(1).front();
    with_hook.validate_after = GENERATE(0ms, 1'000ms);
    with_hook.checks_each = true;
    d.reconfigure(with_hook);
    d.pass_until(d.now + 3s);
    auto& patient = d.wait(60s);
    REQUIRE(d.working(task::check) == std::vector<slot*>{only});
    CHECK(only->stale);  // so it is asked for a sign of life, and then the hook
    d.wait(2ms);
    d.tick_after(1ms);
    d.done(*only);
    REQUIRE(d.working(task::check) == std::vector<slot*>{only});
    CHECK_FALSE(only->stale);
    CHECK(d.begin_hook(*only));
    d.done(*only);
    CHECK(patient.granted == only);
    d.release(*only);  // to the second
    CHECK_FALSE(only->stale);
}

TEST_CASE("VA-4: after one silence a fresh connect is tried beside the next check, and the others are suspect") {
    machine_driver d{{.max = 3, .idle_timeout = 0ms, .max_lifetime = 0ms, .validate_after = 60s}};
    const auto s = d.idle(3);
    d.lose(*s[2]);
    d.end(*s[2]);
    auto& w = d.wait(60s);
    REQUIRE(d.working(task::check) == std::vector<slot*>{s[1]});
    CHECK(d.dialed().empty());  // usually it answers
    d.tick_after(500ms);
    CHECK(d.working(task::check) == std::vector<slot*>{s[0]});
    REQUIRE(d.dialed().size() == 1);
    auto* const fresh = d.dialed().front();
    d.open(*fresh);
    CHECK(w.granted == fresh);
    d.done(*s[0]);
    d.release(*fresh);
    d.pass_until(d.now + 121s);  // the server has answered: a check is trusted again
    d.wait(60s);
    CHECK(d.working(task::check).size() == 1);
    CHECK(d.dialed().empty());
}

TEST_CASE("VA-3: after one silence everything that is idle is asked before it is lent") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .keepalive = 100s}};
    const auto s = d.idle(2);
    REQUIRE(d.machine.try_acquire() == s[1]);
    d.pass_until(d.now + 50s);
    d.release(*s[1]);
    while (s[0]->doing != task::keepalive) {
        d.pass_until(d.now + 100ms);
    }
    d.tick_after(500ms);
    CHECK(d.machine.try_acquire() == nullptr);
    d.wait();
    CHECK(d.working(task::check) == std::vector<slot*>{s[1]});
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

TEST_CASE("VA-4: a hook that wants another connection is asked once about each, and new ones are dialed") {
    machine_driver d{{.max = 3, .first_in_first_out = GENERATE(false, true), .checks_each = true}};
    auto& first = d.wait();
    auto& second = d.wait();
    std::vector<slot*> asked;
    while (first.result == outcome::pending && asked.size() < 100) {
        if (d.working(task::check).empty()) {
            const auto& all = d.machine.slots();
            const auto coming = std::find_if(all.begin(), all.end(),
                                             [](const slot& each) { return each.state == slot_state::connecting; });
            REQUIRE(coming != all.end());
            d.open(const_cast<slot&>(*coming));
        }
        REQUIRE(d.working(task::check).size() == 1);
        asked.push_back(d.working(task::check).front());
        d.done(*asked.back(), verdict::elsewhere);
    }
    CHECK(first.result == outcome::refused);
    CHECK(asked.size() == 3);
    CHECK(std::set<slot*>(asked.begin(), asked.end()).size() == 3);
    REQUIRE(d.working(task::check).size() == 1);  // for the next one all of them are asked again
    auto* const lent = d.working(task::check).front();
    d.done(*lent);
    CHECK(second.granted == lent);
}
