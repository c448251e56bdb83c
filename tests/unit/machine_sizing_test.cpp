// How many connections there are: floors, demand, ages, limits.
#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("SZ-3: the idle floor is kept beside the floor, and restored without an acquire") {
    machine_driver d{{.min = 1, .max = 8, .max_connecting = 8, .min_idle = 2}};
    d.start();
    REQUIRE(d.dialed().size() == 2);
    const auto two = d.dialed();
    d.open(*two[0]);
    d.open(*two[1]);
    CHECK(d.warmed == warm_up::no_news);  // the floor was there with the first
    CHECK(d.commands.empty());
    d.lose(*two[0]);
    CHECK(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    REQUIRE(d.machine.try_acquire() != nullptr);
    std::size_t dials = 0;
    for (const auto& c : d.pass_until(d.now + 100ms)) {  // whoever takes an idle one wakes nobody
        dials += c.kind == command_kind::dial ? 1 : 0;
    }
    CHECK(dials == 1);
}

TEST_CASE("SZ-3: after a loss in an outage the floor is restored when the backoff is over") {
    machine_driver d{{.min = 1, .max = 4}};
    d.start();
    auto* const s = d.dialed().front();
    d.open(*s);
    d.lose(*s);
    d.end(*s);
    REQUIRE(d.numbers().connecting.value() == 1);
    d.fail(const_cast<slot&>(d.machine.slots().back()));
    const auto commands = d.pass_until(d.now + 100ms);
    REQUIRE(commands.size() == 1);
    CHECK(commands.front().kind == command_kind::dial);
}

TEST_CASE("SZ-4: with 5 idle, a connect of 150 ms and 50 requests of 2 to 3.5 ms at most one more is dialed") {
    const auto request = GENERATE(2'000us, 2'300us, 3'500us);  // a server needs a little longer than it is asked to
    machine_driver d{{.max = 50, .idle_timeout = 0ms, .max_lifetime = 0ms, .anticipation = 20ms}};
    d.event([&](auto& out) { d.machine.start(d.now, never, out); });
    d.reconfigure({.max = 50, .idle_timeout = 0ms, .max_lifetime = 0ms});
    d.idle(5);
    d.reconfigure({.max = 50, .idle_timeout = 0ms, .max_lifetime = 0ms, .anticipation = 20ms});
    const auto before = d.numbers().dials.value();
    std::vector<slot*> busy;
    std::deque<waiter*> waiting;
    for (int i = 0; i < 50; ++i) {
        if (slot* const s = d.machine.try_acquire()) {
            busy.push_back(s);
        } else {
            waiting.push_back(&d.wait());
        }
    }
    while (!busy.empty()) {
        d.pass_until(d.now + request);
        std::vector<slot*> next;
        for (auto* s : busy) {
            d.release(*s);
            if (!waiting.empty() && waiting.front()->result == outcome::granted) {
                next.push_back(waiting.front()->granted);
                waiting.pop_front();
            }
        }
        busy = next;
    }
    CHECK(waiting.empty());
    CHECK(d.numbers().granted.value() == 50);
    CHECK(d.numbers().dials.value() - before <= 1);
}

TEST_CASE("SZ-6: a second dial for waiters begins only after the pause, and none beyond max_connecting") {
    machine_driver d{{.max = 10, .max_connecting = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .anticipation = 20ms}};
    d.wait();
    CHECK(d.dialed().size() == 1);
    d.wait();
    d.wait();
    CHECK(d.commands.empty());
    CHECK(d.wake == d.now + 20ms);
    d.tick_after(20ms - 1ns);
    CHECK(d.commands.empty());
    d.tick_after(1ns);
    CHECK(d.dialed().size() == 1);
    CHECK(d.pass_until(d.now + 1s).empty());
    CHECK(d.numbers().connecting.value() == 2);
}

TEST_CASE("SZ-4, SZ-6: the pause goes on only while as many were served within it as still wait") {
    machine_driver d{{.max = 10, .max_connecting = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .anticipation = 20ms}};
    auto* const lent = d.lease(1).front();
    auto& first = d.wait();
    CHECK(d.dialed().size() == 1);
    d.wait();
    d.tick_after(10ms);
    d.release(*lent);
    CHECK(first.result == outcome::granted);
    d.tick_after(10ms);  // one was served, and one waits
    CHECK(d.commands.empty());
    CHECK(d.wake == d.now + 20ms);
    d.tick_after(20ms);  // nobody was, and one waits, for whom the first dial is under way
    CHECK(d.commands.empty());
    d.wait();
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("SZ-7: a square wave of load opens nothing after the third period") {
    machine_driver d{{.max = 20, .max_connecting = 20, .idle_timeout = 10s, .max_lifetime = 0ms}};
    std::uint64_t after_third = 0;
    for (int period = 0; period < 20; ++period) {
        std::vector<slot*> busy;
        for (int i = 0; i < 12; ++i) {
            slot* s = d.machine.try_acquire();
            if (s == nullptr) {
                auto& w = d.wait();
                d.open(*d.dialed().front());
                s = w.granted;
            }
            busy.push_back(s);
        }
        d.pass_until(d.now + 1s);
        for (auto* s : busy) {
            d.release(*s);
        }
        d.pass_until(d.now + 1s);
        after_third = period == 2 ? d.numbers().dials.value() : after_third;
    }
    CHECK(d.numbers().dials.value() == after_third);
}

TEST_CASE("SZ-8: of 10,000 idle connections none is closed early and none late") {
    std::size_t closed = 0;
    for (std::uint64_t seed = 1; seed <= 2'500; ++seed) {
        machine_driver d{{.max = 4, .max_connecting = 4, .idle_timeout = 8s, .max_lifetime = 0ms}, seed};
        auto leased = d.lease(4);
        std::vector<time_point> freed;
        for (auto* s : leased) {
            d.pass_until(d.now + std::chrono::milliseconds{seed * 37 % 1'900});
            d.release(*s);
            freed.push_back(d.now);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            d.pass_until(freed[i] + 8s - 1ns);
            REQUIRE(leased[i]->state == slot_state::idle);
        }
        d.pass_until(freed[3] + 9s);
        closed += d.numbers().reaped_idle.value();
    }
    CHECK(closed == 10'000);
}

TEST_CASE("LC-5: nothing is reaped below the idle floor") {
    machine_driver d{{.max = 6, .max_connecting = 6, .idle_timeout = 8s, .max_lifetime = 0ms, .min_idle = 2}};
    const auto s = d.lease(6);
    for (std::size_t i = 0; i < 4; ++i) {
        d.release(*s[i]);
    }
    d.pass_until(d.now + 60s);
    CHECK(d.numbers().idle.value() == 2);
    CHECK(d.numbers().reaped_idle.value() == 2);
}

TEST_CASE("SZ-2: a cap counts like max, and is lifted like it") {
    machine_driver d{{.max = 4}};
    const auto s = d.idle(4);
    d.cap(2);
    CHECK(d.closing() == std::vector<slot*>{s[0], s[1]});
    CHECK(d.numbers().max.value() == 2);
    d.end(*s[0]);
    d.end(*s[1]);
    REQUIRE(d.machine.try_acquire() != nullptr);
    REQUIRE(d.machine.try_acquire() != nullptr);
    d.wait();
    CHECK(d.commands.empty());
    d.cap(3);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("AQ-3: idle connections are lent in the order that was asked for") {
    for (const bool fifo : {false, true}) {
        machine_driver d{{.max = 3, .first_in_first_out = fifo}};
        const auto s = d.idle(3);
        CHECK(d.machine.try_acquire() == s[fifo ? 0 : 2]);
        CHECK(d.machine.try_acquire() == s[1]);
        CHECK(d.machine.try_acquire() == s[fifo ? 2 : 0]);
    }
}
