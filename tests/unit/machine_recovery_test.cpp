// What callers are told when there is no connection for them.
#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("AQ-14: whoever gets no connection is told why") {
    struct row {
        dial_failure cause;
        bool at_once;  // waiters are told without any deadline
        outcome told;
    };
    const row rows[] = {
        {dial_failure::transient, false, outcome::unavailable},    {dial_failure::full, false, outcome::server_full},
        {dial_failure::starting, false, outcome::unavailable},     {dial_failure::refused, true, outcome::auth_failed},
        {dial_failure::misconfigured, true, outcome::unavailable},
    };
    for (const auto& r : rows) {
        machine_driver d{{.max = 1, .fail_fast_after = 0ms}};
        auto& w = d.wait();
        d.fail(*d.dialed().front(), r.cause);
        CHECK((w.result == r.told) == r.at_once);
        CHECK(d.wait().result == r.told);
    }
}

TEST_CASE("RE-6: in an outage newcomers are told at once, those who wait keep their deadline, and one knock follows") {
    machine_driver d{{.max = 2, .max_connecting = 1, .fail_fast_after = 5s}};
    auto& parked = d.wait(60s);
    d.fail(*d.dialed().front());
    CHECK(d.wait(1h).result == outcome::pending);
    for (const auto end = d.now + 5s; d.now < end;) {
        d.pass_until(std::min(d.wake, end));
        if (d.numbers().connecting.value() > 0) {
            d.fail(const_cast<slot&>(d.machine.slots().front()));
        }
    }
    CHECK(d.wait().result == outcome::unavailable);
    CHECK(parked.result == outcome::pending);
    d.pass_until(d.now + 5s);
    REQUIRE(d.numbers().connecting.value() == 1);
    d.open(const_cast<slot&>(d.machine.slots().front()));
    CHECK(parked.result == outcome::granted);
    CHECK(d.wait().result == outcome::pending);
}

TEST_CASE("RE-6: whoever was turned away has the server asked again") {
    machine_driver d{{.max = 1, .fail_fast_after = 0ms}};
    d.cancel(d.wait());
    d.fail(const_cast<slot&>(d.machine.slots().front()));
    CHECK(d.pass_until(d.now + 10s).empty());  // nobody asks
    d.machine.check();
    d.fail(*[&] {
        CHECK(d.wait().result == outcome::unavailable);
        REQUIRE(d.dialed().size() == 1);
        return d.dialed().front();
    }());
    CHECK(d.wait().result == outcome::unavailable);
    CHECK(d.pass_until(d.now + 1s).size() == 1);
}

TEST_CASE("RE-10: a suspended pool lends and dials nothing, and goes on in order") {
    machine_driver d{{.max = 2}};
    auto* const s = d.idle(1).front();
    d.suspend();
    CHECK(d.machine.try_acquire() == nullptr);
    auto& first = d.wait(30s);
    auto& second = d.wait(30s);
    CHECK(d.commands.empty());
    d.pass_until(d.now + 5s);
    CHECK(first.result == outcome::pending);
    d.resume();
    CHECK(first.granted == s);
    CHECK(second.result == outcome::pending);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("RE-10: what has lain idle for too long goes to who waits when the pool resumes, and is not closed") {
    machine_driver d{{.max = 1, .idle_timeout = 50ms, .max_lifetime = 0ms}};
    auto* const s = d.idle(1).front();
    d.suspend();
    auto& w = d.wait(10s);
    d.now += 100ms;  // a tick is late
    d.resume();
    CHECK(w.granted == s);
    CHECK(d.commands.empty());
}

TEST_CASE("RE-10: deadlines run through a suspension unless they are held") {
    for (const bool held : {false, true}) {
        machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
        d.lease(1);
        auto& before = d.wait(10s);
        d.tick_after(4s);
        d.suspend(held);
        auto& during = d.wait(10s);
        d.tick_after(6s);
        CHECK(before.result == (held ? outcome::pending : outcome::suspended));
        d.tick_after(100s);
        CHECK(during.result == (held ? outcome::pending : outcome::suspended));
        d.resume();
        if (held) {
            CHECK(d.wake == d.now + 6s);
            d.tick_after(6s);
            CHECK(before.result == outcome::timed_out);
            CHECK(d.wake == d.now + 4s);
            d.tick_after(4s);
            CHECK(during.result == outcome::timed_out);
        }
    }
}

TEST_CASE("RE-10: 10,000 callers survive a suspension and are served in order") {
    machine_driver d{{.max = 1}};
    auto* const s = d.idle(1).front();
    d.suspend();
    std::vector<waiter*> all;
    for (int i = 0; i < 10'000; ++i) {
        trunkline::core::actions out;
        all.push_back(&d.wait(30s));
    }
    d.pass_until(d.now + 5s);
    d.resume();
    for (auto* w : all) {
        REQUIRE(w->granted == s);
        d.release(*s);
    }
}

TEST_CASE("RE-11: whoever waits beside room and an open gate has a dial under way") {
    machine_driver d{{.max = 3, .max_connecting = 3}};
    d.wait();
    d.wait();
    CHECK(d.numbers().connecting.value() == 2);
    d.wait();
    d.wait();
    CHECK(d.numbers().connecting.value() == 3);
}

TEST_CASE("AQ-15: where all who hold a connection wait for another, the last of them is told") {
    machine_driver d{{.max = 2}};
    const auto s = d.lease(2);
    auto& first = d.wait(1h, s[0]);
    CHECK(first.result == outcome::pending);
    auto& bystander = d.wait(1h);
    auto& last = d.wait(1h, s[1]);
    CHECK(last.result == outcome::would_deadlock);
    CHECK(bystander.result == outcome::pending);
    CHECK(d.numbers().deadlocks.value() == 1);
    d.release(*s[1]);
    CHECK(first.granted == s[1]);
}

TEST_CASE("AQ-15: nobody is told while a connection is on the way, or one is held by somebody who works") {
    machine_driver d{{.max = 3}};
    const auto s = d.lease(2);
    auto& first = d.wait(1h, s[0]);
    REQUIRE(d.dialed().size() == 1);
    auto& second = d.wait(1h, s[1]);
    CHECK(second.result == outcome::pending);
    d.open(const_cast<slot&>(d.machine.slots().back()));
    CHECK(first.result == outcome::granted);
    CHECK(second.result == outcome::pending);  // the first one holds two and works
}

TEST_CASE("AQ-15: a ring that is closed by a lower max, or found after a suspension, is broken too") {
    for (const bool by_cap : {true, false}) {
        machine_driver d{{.max = 3, .max_connecting = 1}};
        const auto s = d.lease(2);
        if (by_cap) {
            auto& first = d.wait(1h, s[0]);
            auto* const dialed = d.dialed().front();
            auto& second = d.wait(1h, s[1]);
            d.fail(*dialed);
            CHECK(second.result == outcome::pending);
            d.cap(2);
            CHECK(second.result == outcome::would_deadlock);
            CHECK(first.result == outcome::pending);
        } else {
            d.cap(2);
            d.suspend();
            d.wait(1h, s[0]);
            auto& second = d.wait(1h, s[1]);
            CHECK(second.result == outcome::pending);
            d.resume();
            CHECK(second.result == outcome::would_deadlock);
        }
    }
}

TEST_CASE("AQ-15: a lease that was closed underneath holds nobody up") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms, .lease_timeout = 1s}};
    auto* const dead = d.lease(1).front();
    d.pass_until(d.now + 2s);
    d.end(*dead);
    auto& stranger = d.wait(1h);
    d.open(*d.dialed().front());
    REQUIRE(stranger.result == outcome::granted);
    CHECK(d.wait(1h, dead).result == outcome::pending);
    d.release(*dead);
}

TEST_CASE("AQ-8: a newcomer is shed only behind one who has waited too long, after a whole slow interval") {
    machine_driver d{{.max = 1, .shed_target = 50ms, .shed_interval = 2s}};
    auto* const s = d.lease(1).front();
    for (int i = 0; i < 40; ++i) {
        CHECK(d.wait(1h).result == outcome::pending);
    }
    for (int i = 0; i < 21; ++i) {
        d.now += 100ms;
        d.release(*s);
        if (i < 19) {
            d.cancel([&]() -> waiter& {
                auto& w = d.wait(1h);
                CHECK(w.result == outcome::pending);
                return w;
            }());
        }
    }
    CHECK(d.wait(1h).result == outcome::overloaded);
    CHECK(d.numbers().overloaded.value() == 1);
    CHECK(d.numbers().rejected.value() == 1);
}

TEST_CASE("AQ-9: try_acquire takes what is free and never comes before one who waits") {
    machine_driver d{{.max = 1, .validate_after = 0ms}};
    auto* const s = d.idle(1).front();
    auto& w = d.wait();
    REQUIRE(d.working(task::check).size() == 1);
    CHECK(d.machine.try_acquire() == nullptr);
    d.done(*s);
    CHECK(w.granted == s);
    CHECK(d.machine.try_acquire() == nullptr);
}

TEST_CASE("RE-1: a refused login ends the warm-up unless it is patient") {
    for (const bool patient : {false, true}) {
        machine_driver d{{.min = 1, .max = 1}};
        if (patient) {
            d.machine.be_patient();
        }
        d.start(10s);
        d.fail(*d.dialed().front(), dial_failure::refused);
        CHECK(d.warmed == (patient ? warm_up::no_news : warm_up::failed));
    }
}
