#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("AQ-2: waiters are granted in the order in which they came") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    auto& second = d.wait();
    auto& third = d.wait();
    for (auto* w : {&first, &second, &third}) {
        d.release(*s);
        REQUIRE(d.told == std::vector<waiter*>{w});
        CHECK(w->result == outcome::granted);
        CHECK(w->granted == s);
    }
}

TEST_CASE("AQ-3: the connection used last is lent first") {
    machine_driver d{{.max = 3}};
    const auto s = d.idle(3);
    CHECK(d.machine.try_acquire() == s[2]);
    CHECK(d.machine.try_acquire() == s[1]);
    CHECK(d.machine.try_acquire() == s[0]);
    CHECK(d.machine.try_acquire() == nullptr);
    CHECK(d.numbers().immediate.value() == 3);
}

TEST_CASE("AQ-4: a returned connection goes straight to the oldest waiter and never lies idle in between") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    d.release(*s);
    CHECK(w.granted == s);
    CHECK(d.machine.try_acquire() == nullptr);
    CHECK(d.numbers().idle.value() == 0);
    CHECK(d.commands.empty());
}

TEST_CASE("SZ-5: a connection that is returned during a dial serves the first waiter and the dial the second") {
    machine_driver d{{.max = 2}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    REQUIRE(d.dialed().size() == 1);
    auto* const dialed = d.dialed().front();
    auto& second = d.wait();
    CHECK(d.commands.empty());
    d.release(*s);
    CHECK(first.granted == s);
    d.open(*dialed);
    CHECK(second.granted == dialed);
}

TEST_CASE("LC-12: a dial that nobody waits for any more joins the idle ones") {
    machine_driver d{{.max = 1}};
    auto& w = d.wait();
    auto* const dialed = d.dialed().front();
    d.cancel(w);
    d.open(*dialed);
    CHECK(d.told.empty());
    CHECK(d.machine.try_acquire() == dialed);
}

TEST_CASE("who cancels in the queue is told so, and the next one is granted in turn") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    auto& second = d.wait();
    d.cancel(first);
    CHECK(d.told == std::vector<waiter*>{&first});
    CHECK(first.result == outcome::cancelled);
    d.release(*s);
    CHECK(d.told == std::vector<waiter*>{&second});
    CHECK(first.granted == nullptr);
    CHECK(d.numbers().cancelled.value() == 1);
}

TEST_CASE("a cancellation after the grant changes nothing: the grant is kept and passed on by its owner") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    auto& second = d.wait();
    d.release(*s);
    d.cancel(first);
    CHECK(d.told.empty());
    CHECK(first.result == outcome::granted);
    CHECK(d.numbers().cancelled.value() == 0);
    d.release(*first.granted);
    CHECK(second.granted == s);
}

TEST_CASE("whatever a waiter was told, a cancellation after it is nothing") {
    machine_driver d{{.max = 1, .max_waiting = 1}};
    d.lease(1);
    auto& late = d.wait(1ms);
    d.tick_after(1ms);
    REQUIRE(late.result == outcome::timed_out);
    d.cancel(late);
    CHECK(d.told.empty());
    d.wait();
    auto& rejected = d.wait();
    REQUIRE(rejected.result == outcome::queue_full);
    d.cancel(rejected);
    CHECK(d.told.empty());
    CHECK(d.numbers().cancelled.value() == 0);
}

TEST_CASE("AQ-7: the queue takes as many as it may and rejects the next at once") {
    machine_driver d{{.max = 1, .max_waiting = 2}};
    auto* const s = d.lease(1).front();
    d.wait();
    d.wait();
    auto& third = d.wait();
    CHECK(d.told == std::vector<waiter*>{&third});
    CHECK(third.result == outcome::queue_full);
    CHECK(d.numbers().rejected.value() == 1);
    d.release(*s);
    CHECK(d.wait().result == outcome::pending);
}

TEST_CASE("AQ-5: a wait ends at its deadline and not before") {
    machine_driver d{{.max = 1}};
    d.lease(1);
    auto& w = d.wait(10ms);
    CHECK(d.wake <= d.now + 10ms);
    d.tick_after(10ms - 1ns);
    CHECK(d.told.empty());
    CHECK(d.wake <= d.now + 1ns);
    d.tick_after(1ns);
    CHECK(d.told == std::vector<waiter*>{&w});
    CHECK(w.result == outcome::timed_out);
    CHECK(d.numbers().timed_out.value() == 1);
}

TEST_CASE("one tick ends every wait whose time is over, the earliest deadline first") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    d.lease(1);
    auto& late = d.wait(30ms);
    auto& early = d.wait(10ms);
    auto& patient = d.wait(50ms);
    d.tick_after(40ms);
    CHECK(d.told == std::vector<waiter*>{&early, &late});
    CHECK(patient.result == outcome::pending);
    CHECK(d.wake == d.now + 10ms);
}

TEST_CASE("a deadline that has passed already ends the wait at the next tick") {
    machine_driver d{{.max = 1}};
    d.lease(1);
    auto& w = d.wait(0ms);
    CHECK(d.wake <= d.now);
    d.tick_after(0ms);
    CHECK(w.result == outcome::timed_out);
}

TEST_CASE("an acquire of an idle connection asks for nothing to be done") {
    machine_driver d{{.max = 1}};
    auto* const s = d.idle(1).front();
    REQUIRE(d.machine.try_acquire() == s);
    d.release(*s);
    CHECK(d.commands.empty());
    CHECK(d.told.empty());
}
