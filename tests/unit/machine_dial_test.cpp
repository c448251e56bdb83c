#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

namespace {

constexpr auto transient = dial_failure::transient;
constexpr auto refused = dial_failure::refused;
constexpr auto aborted = dial_failure::aborted;

}  // namespace

TEST_CASE("SZ-6: a burst of waiters begins only so many dials at a time") {
    machine_driver d{{.max = 10, .max_connecting = 2}};
    d.wait();
    CHECK(d.dialed().size() == 1);
    auto* const first = d.dialed().front();
    d.wait();
    CHECK(d.dialed().size() == 1);
    d.wait();
    CHECK(d.dialed().empty());
    d.open(*first);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("SZ-1: sessions on the way in or out count against max") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    d.release(*s, returned::spoilt);
    auto& w = d.wait();
    CHECK(d.commands.empty());
    d.end(*s);
    CHECK(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
}

TEST_CASE("a failed dial shuts the gate and the next one waits for the backoff") {
    machine_driver d{{.max = 4, .max_connecting = 2, .backoff_initial = 100ms}};
    auto& w = d.wait();
    d.fail(*d.dialed().front(), transient);
    CHECK(d.commands.empty());
    CHECK(w.result == outcome::pending);
    CHECK(d.wake >= d.now + 50ms);
    CHECK(d.wake <= d.now + 100ms);
    d.wait();
    CHECK(d.commands.empty());
    d.tick_after(49ms);
    CHECK(d.commands.empty());
    d.tick_after(51ms);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("RE-3: while the server refuses there is one prober, whatever the number of waiters") {
    machine_driver d{{.max = 10, .max_connecting = 4}};
    for (int i = 0; i < 10; ++i) {
        d.wait();
    }
    REQUIRE(d.numbers().connecting.value() == 4);
    for (const auto& s : d.machine.slots()) {
        d.fail(const_cast<slot&>(s), transient);
    }
    d.pass_until(d.wake);
    CHECK(d.numbers().connecting.value() == 1);
    CHECK(d.numbers().dials.value() == 5);
}

TEST_CASE("of dials that fail together only the first counts for the backoff") {
    machine_driver d{{.max = 10, .max_connecting = 3, .backoff_initial = 100ms}};
    d.wait();
    d.wait();
    d.wait();
    for (const auto& s : d.machine.slots()) {
        d.fail(const_cast<slot&>(s), transient);
        CHECK(d.wake <= d.now + 100ms);
    }
}

TEST_CASE("RE-3: an outage sees at most 13 dials in 20 s and 29 in 60 s, and never a second prober") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        machine_driver d{{.max = 50, .max_connecting = 1}, seed};
        for (int i = 0; i < 100; ++i) {
            d.wait();
        }
        const auto begin = d.now;
        while (d.now < begin + 60s) {
            REQUIRE(d.numbers().connecting.value() == 1);
            d.fail(const_cast<slot&>(d.machine.slots().front()), transient);
            d.pass_until(std::min(d.wake, begin + 60s));
            if (d.now < begin + 20s) {
                CHECK(d.numbers().dials.value() <= 13);
            }
        }
        CHECK(d.numbers().dials.value() <= 29);
        CHECK(d.numbers().dials.value() >= 16);
    }
}

TEST_CASE("pools of different seeds do not knock in step") {
    machine_driver a{{.max = 1}, 1};
    machine_driver b{{.max = 1}, 2};
    for (auto* d : {&a, &b}) {
        d->wait();
        d->fail(*d->dialed().front(), transient);
    }
    CHECK(a.wake != b.wake);
}

TEST_CASE("RE-2: the first success ends the backoff") {
    machine_driver d{{.max = 10, .max_connecting = 3}};
    for (int i = 0; i < 6; ++i) {
        d.wait();
    }
    for (const auto& s : d.machine.slots()) {
        d.fail(const_cast<slot&>(s), transient);
    }
    d.pass_until(d.wake);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(d.dialed().size() == 2);  // slow start
    d.fail(*d.dialed().front(), transient);
    CHECK(d.wake <= d.now + 100ms);
}

TEST_CASE("RE-7: a refused login fails those who wait and those who come, at once") {
    machine_driver d{{.max = 2}};
    auto& first = d.wait();
    auto* const dialed = d.dialed().front();
    auto& second = d.wait();
    d.fail(*dialed, refused);
    CHECK(d.told == std::vector<waiter*>{&first, &second});
    CHECK(first.result == outcome::auth_failed);
    CHECK(second.result == outcome::auth_failed);
    auto& newcomer = d.wait();
    CHECK(newcomer.result == outcome::auth_failed);
    CHECK(d.commands.empty());
    CHECK(d.numbers().failed.value() == 3);
}

TEST_CASE("after the backoff of a refused login a newcomer waits for the answer of one dial") {
    machine_driver d{{.max = 2}};
    d.wait();
    auto* const dialed = d.dialed().front();
    d.wait();
    auto* const other = d.dialed().front();
    d.fail(*dialed, refused);
    d.fail(*other, refused);
    d.pass_until(d.wake);
    auto& w = d.wait();
    CHECK(w.result == outcome::pending);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
}

TEST_CASE("a refused login fails nobody while a connection is open that may come back") {
    machine_driver d{{.max = 2}};
    auto* const s = d.lease(1).front();
    auto& first = d.wait();
    d.fail(*d.dialed().front(), refused);
    CHECK(d.told.empty());
    auto& second = d.wait();
    CHECK(second.result == outcome::pending);
    d.release(*s);
    CHECK(first.granted == s);
    d.release(*s);
    CHECK(second.granted == s);
}

TEST_CASE("when the last open connection goes while the login is refused, whoever waits is told at once") {
    machine_driver d{{.max = 2}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    d.fail(*d.dialed().front(), refused);
    d.release(*s, returned::spoilt);
    CHECK(d.told == std::vector<waiter*>{&w});
    CHECK(w.result == outcome::auth_failed);
}

TEST_CASE("a dial that we gave up ourselves is no sign against the server") {
    machine_driver d{{.max = 1}};
    auto& w = d.wait();
    d.fail(*d.dialed().front(), aborted);
    CHECK(d.dialed().size() == 1);
    CHECK(w.result == outcome::pending);
}

TEST_CASE("SZ-3: after start the floor is dialed for, and restored without an acquire when a connection is lost") {
    machine_driver d{{.min = 2, .max = 4}};
    d.start();
    REQUIRE(d.dialed().size() == 2);
    const auto dialed = d.dialed();
    d.open(*dialed[0]);
    CHECK(d.warmed == warm_up::no_news);
    d.open(*dialed[1]);
    CHECK(d.warmed == warm_up::complete);
    d.lose(*dialed[0]);
    REQUIRE(d.dialed().size() == 1);
    CHECK(d.dialed().front() != dialed[0]);
}

TEST_CASE("without start nothing is dialed that nobody asks for") {
    machine_driver d{{.min = 2, .max = 4}};
    d.tick_after(1s);
    CHECK(d.commands.empty());
    d.idle(1);
    CHECK(d.numbers().dials.value() == 1);
}

TEST_CASE("a start without a floor is complete at once") {
    machine_driver d{{.min = 0, .max = 4}};
    d.start();
    CHECK(d.warmed == warm_up::complete);
    CHECK(d.commands.empty());
}

TEST_CASE("connections that are lent out meanwhile complete the warm-up too") {
    machine_driver d{{.min = 1, .max = 4}};
    d.lease(1);
    d.start();
    CHECK(d.warmed == warm_up::complete);
}

TEST_CASE("the warm-up fails at its deadline and not before, and the floor is dialed for all the same") {
    machine_driver d{{.min = 1, .max = 4, .backoff_initial = 1s, .backoff_max = 1s}};
    d.start(100ms);
    d.fail(*d.dialed().front(), transient);
    CHECK(d.warmed == warm_up::no_news);
    CHECK(d.wake == d.now + 100ms);
    d.tick_after(100ms - 1ns);
    CHECK(d.warmed == warm_up::no_news);
    d.tick_after(1ns);
    CHECK(d.warmed == warm_up::failed);
    d.tick_after(1s);
    CHECK(d.warmed == warm_up::no_news);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("a refused login fails the warm-up at once") {
    machine_driver d{{.min = 1, .max = 4}};
    d.start();
    d.fail(*d.dialed().front(), refused);
    CHECK(d.warmed == warm_up::failed);
}
