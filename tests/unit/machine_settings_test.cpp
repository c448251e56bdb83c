#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

TEST_CASE("SZ-9: a higher max is dialed for at once") {
    machine_driver d{{.max = 1, .max_connecting = 2}};
    d.lease(1);
    d.wait();
    d.wait();
    d.wait();
    CHECK(d.commands.empty());
    d.reconfigure({.max = 4, .max_connecting = 2});
    CHECK(d.dialed().size() == 2);
    CHECK(d.numbers().max.value() == 4);
}

TEST_CASE("a higher floor is dialed for at once") {
    machine_driver d{{.min = 0, .max = 4}};
    d.start();
    d.reconfigure({.min = 2, .max = 4});
    CHECK(d.dialed().size() == 2);
    CHECK(d.numbers().min.value() == 2);
}

TEST_CASE("SZ-9: a lower max closes what is idle and surplus at once, the longest unused first") {
    machine_driver d{{.max = 4}};
    const auto s = d.idle(4);
    d.reconfigure({.max = 2});
    CHECK(d.closing() == std::vector<slot*>{s[0], s[1]});
    CHECK(d.machine.try_acquire() == s[3]);
    CHECK(d.machine.try_acquire() == s[2]);
}

TEST_CASE("SZ-9: a lower max closes leased connections when they come back and breaks no lease") {
    machine_driver d{{.max = 3}};
    const auto s = d.lease(3);
    auto& w = d.wait();
    d.reconfigure({.max = 1});
    CHECK(d.commands.empty());
    d.release(*s[0]);
    CHECK(d.closed_only(*s[0], leave_reason::surplus));
    d.release(*s[1]);
    CHECK(d.closed_only(*s[1], leave_reason::surplus));
    CHECK(w.result == outcome::pending);
    d.end(*s[0]);
    d.end(*s[1]);
    CHECK(d.commands.empty());
    d.release(*s[2]);
    CHECK(w.granted == s[2]);
}

TEST_CASE("a dial that ends after max was lowered is closed if it is surplus, and joins if it is not") {
    machine_driver d{{.max = 3}};
    d.lease(1);
    d.wait();
    auto* const first = d.dialed().front();
    d.wait();
    auto* const second = d.dialed().front();
    d.reconfigure({.max = 2});
    d.open(*first);
    CHECK(first->state == slot_state::leased);
    d.open(*second);
    CHECK(d.closed_only(*second, leave_reason::surplus));
}

TEST_CASE("other settings end the backoff and the refusal: a dial begins at once") {
    for (const auto why : {dial_failure::transient, dial_failure::refused}) {
        machine_driver d{{.max = 2}};
        d.wait();
        d.fail(*d.dialed().front(), why);
        REQUIRE(d.commands.empty());
        d.reconfigure({.max = 2});
        auto& w = d.wait();
        CHECK(w.result == outcome::pending);
        CHECK(d.numbers().connecting.value() >= 1);
    }
}

TEST_CASE("a shorter idle time-out counts from now for what was not yet seen idle") {
    machine_driver d{{.max = 1, .idle_timeout = 600s, .max_lifetime = 0ms}};
    d.idle(1);
    d.reconfigure({.max = 1, .idle_timeout = 8s, .max_lifetime = 0ms});
    const auto changed = d.now;
    CHECK(d.pass_until(changed + 8s - 1ns).empty());
    CHECK(d.pass_until(changed + 9s).size() == 1);
}

TEST_CASE("an idle time-out that is turned on live is kept") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    d.idle(1);
    CHECK(d.wake == never);
    d.reconfigure({.max = 1, .idle_timeout = 8s, .max_lifetime = 0ms});
    CHECK(d.pass_until(d.now + 9s).size() == 1);
}

TEST_CASE("a task under way keeps its deadline, and a shorter one holds from the next on") {
    machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .clean_timeout = 50s}};
    const auto s = d.lease(2);
    d.release(*s[0], returned::unclean);
    d.reconfigure({.max = 2, .idle_timeout = 0ms, .max_lifetime = 0ms, .clean_timeout = 1s});
    d.release(*s[1], returned::unclean);
    CHECK(d.wake == d.now + 1s);
    d.tick_after(1s);
    CHECK(d.closed_only(*s[1], leave_reason::discarded));
    d.tick_after(49s);
    CHECK(d.closed_only(*s[0], leave_reason::discarded));
}

TEST_CASE("settings without effect on the sessions close none") {
    machine_driver d{{.min = 1, .max = 4}};
    d.idle(4);
    d.reconfigure({.min = 1, .max = 4});
    CHECK(d.commands.empty());
}

TEST_CASE("settings that need other sessions retire the old ones") {
    machine_driver d{{.max = 2}};
    const auto s = d.idle(1);
    d.reconfigure({.max = 2}, true);
    CHECK(d.closed_only(*s[0], leave_reason::retired));
}
