#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("SH-1: close tells all who wait and all who come") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    auto& second = d.wait();
    d.close();
    CHECK(d.told == std::vector<waiter*>{&first, &second});
    CHECK(first.result == outcome::closed);
    CHECK(second.result == outcome::closed);
    CHECK(d.wait().result == outcome::closed);
    CHECK_FALSE(d.finished);
    d.release(*s);
    CHECK(d.closed_only(*s, leave_reason::shutdown));
    CHECK_FALSE(d.finished);
    d.end(*s);
    CHECK(d.finished);
}

TEST_CASE("close of a pool without sessions ends at once, and once") {
    machine_driver d{{.max = 1}};
    d.close();
    CHECK(d.finished);
    CHECK(d.wake == never);
    d.close();
    CHECK_FALSE(d.finished);
}

TEST_CASE("close ends when the last session has ended, in whatever state the connections were") {
    machine_driver d{{.max = 5, .max_connecting = 1}};
    const auto s = d.lease(4);
    d.release(*s[0]);
    d.release(*s[1], returned::unclean);
    d.release(*s[2], returned::spoilt);
    auto* const idle = d.machine.try_acquire();
    REQUIRE(idle == s[0]);
    auto& w = d.wait();
    auto* const dialed = d.dialed().front();
    d.release(*idle);
    REQUIRE(w.granted == idle);
    d.release(*idle);
    REQUIRE(d.numbers().idle.value() == 1);

    d.close();
    CHECK(d.closing() == std::vector<slot*>{s[0], s[1]});
    d.done(*s[1]);
    d.end(*s[0]);
    d.end(*s[1]);
    d.end(*s[2]);
    d.fail(*dialed, dial_failure::aborted);
    CHECK_FALSE(d.finished);
    d.release(*s[3], returned::unclean);
    CHECK(d.closed_only(*s[3], leave_reason::shutdown));
    d.end(*s[3]);
    CHECK(d.finished);
    CHECK(d.numbers().dials.value() == 5);
}

TEST_CASE("a dial that succeeds after the close is closed") {
    machine_driver d{{.max = 1}};
    d.wait();
    auto* const dialed = d.dialed().front();
    d.close();
    d.open(*dialed);
    CHECK(d.closed_only(*dialed, leave_reason::shutdown));
    d.end(*dialed);
    CHECK(d.finished);
}

TEST_CASE("a closed pool keeps no floor and dials no more") {
    machine_driver d{{.min = 2, .max = 4}};
    d.start();
    const auto dialed = d.dialed();
    d.close();
    CHECK(d.warmed == warm_up::failed);
    d.fail(*dialed[0], dial_failure::transient);
    d.fail(*dialed[1], dial_failure::transient);
    CHECK(d.finished);
    d.reconfigure({.min = 4, .max = 8});
    d.rotate();
    d.tick_after(60s);
    CHECK(d.commands.empty());
    CHECK_FALSE(d.finished);
}

TEST_CASE("a start after the close fails at once") {
    machine_driver d{{.min = 1, .max = 4}};
    d.close();
    d.start();
    CHECK(d.warmed == warm_up::failed);
    CHECK(d.commands.empty());
}

TEST_CASE("SH-2: at the end of the grace what is still lent out is closed, and comes back late without harm") {
    machine_driver d{{.max = 2}};
    const auto s = d.lease(2);
    d.close(10s);
    CHECK(d.wake <= d.now + 10s);
    d.tick_after(10s - 1ns);
    CHECK(d.commands.empty());
    d.tick_after(1ns);
    CHECK(d.closing() == s);
    d.end(*s[0]);
    d.release(*s[0]);
    CHECK(d.commands.empty());
    d.release(*s[1]);
    CHECK(d.commands.empty());
    CHECK_FALSE(d.finished);
    d.end(*s[1]);
    CHECK(d.finished);
    CHECK(d.machine.lent_out() == 0);
}

TEST_CASE("SH-4: of two closes the earlier deadline counts") {
    for (const bool earlier_first : {true, false}) {
        machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
        auto* const s = d.lease(1).front();
        d.close(earlier_first ? 1s : 10s);
        d.close(earlier_first ? 10s : 1s);
        CHECK(d.wake == d.now + 1s);
        d.tick_after(1s);
        CHECK(d.closed_only(*s, leave_reason::shutdown));
        d.end(*s);
        CHECK(d.finished);
        d.release(*s);
    }
}

TEST_CASE("close without grace closes what is lent out at the next tick") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    d.close(0ms);
    CHECK(d.wake <= d.now);
    d.tick_after(0ms);
    CHECK(d.closed_only(*s, leave_reason::shutdown));
    d.release(*s);
    d.end(*s);
    CHECK(d.finished);
}

TEST_CASE("SH-7: a close that was announced begins at its moment, and leases have the shortest grace asked for") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    const auto s = d.lease(2);
    d.release(*s[0]);
    const auto when = d.now + 10s;
    d.event([&](auto& out) { d.machine.announce_close(when, 5s, d.now, out); });
    d.event([&](auto& out) { d.machine.announce_close(when, 2s, d.now, out); });
    CHECK(d.wake == when);
    CHECK(d.machine.try_acquire() == s[0]);
    d.release(*s[0]);
    CHECK(d.pass_until(when - 1ns).empty());
    CHECK_FALSE(d.machine.is_closed());
    const auto first = d.pass_until(when);
    REQUIRE(first.size() == 1);
    CHECK(first.front().target == s[0]);
    CHECK(d.pass_until(when + 2s - 1ns).empty());
    const auto rest = d.pass_until(when + 2s);
    REQUIRE(rest.size() == 1);
    CHECK(rest.front().target == s[1]);
    d.end(*s[0]);
    d.end(*s[1]);
    CHECK(d.finished);
    CHECK(d.wake == never);
    d.release(*s[1]);
}

TEST_CASE("SH-3, SH-7: whatever comes first after the announced moment closes the pool, and says that dials are to be "
          "aborted") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    d.wait();
    auto* const dialing = d.dialed().front();
    d.event([&](auto& out) { d.machine.announce_close(d.now + 10s, 5s, d.now, out); });
    CHECK_FALSE(d.closes);
    d.now += 10s;
    SECTION("a tick") { d.tick_after(0s); }
    SECTION("other settings") { d.reconfigure({.max = 3, .idle_timeout = 0ms, .max_lifetime = 0ms}); }
    SECTION("a start") { d.start(); }
    SECTION("a resumption") { d.resume(); }
    SECTION("another call of close") {
        d.event([&](auto& out) { d.machine.announce_close(d.now + 10s, 5s, d.now, out); });
    }
    CHECK(d.machine.is_closed());
    CHECK(d.closes);
    d.tick_after(1ms);
    CHECK_FALSE(d.closes);
    d.fail(*dialing, dial_failure::aborted);
    CHECK(d.finished);
}
