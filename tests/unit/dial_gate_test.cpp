#include "core/dial_gate.hpp"
#include "support/catch.hpp"

namespace {

using namespace trunkline::core;
using namespace std::chrono_literals;

constexpr time_point start{1000s};

}  // namespace

TEST_CASE("RE-7: each class of failure has a pause of its own") {
    const struct {
        dial_failure why;
        std::chrono::milliseconds least, most;
    } rows[] = {
        {dial_failure::transient, 50ms, 100ms}, {dial_failure::refused, 50ms, 100ms},
        {dial_failure::full, 1000ms, 1000ms},   {dial_failure::starting, 200ms, 200ms},
        {dial_failure::misconfigured, 5s, 5s},
    };
    for (const auto& r : rows) {
        for (const double share : {0.0, 1.0}) {
            const limits by;
            dial_gate gate{by};
            gate.on_failure(r.why, start, share);
            CHECK(gate.opens() == start + (share == 0.0 ? r.least : r.most));
            CHECK(gate.is_probing());
            CHECK(gate.parallel() == 1);
            CHECK(gate.cause() == r.why);
            CHECK(gate.is_hopeless() == is_final(r.why));
            gate.tick(gate.opens() - 1ns);
            CHECK_FALSE(gate.is_open());
            gate.tick(gate.opens());
            CHECK(gate.is_open());
            CHECK_FALSE(gate.is_hopeless());
        }
    }
}

TEST_CASE("RE-7: a server that is full or starts up is asked at a steady pace") {
    for (const auto why : {dial_failure::full, dial_failure::starting}) {
        const limits by;
        dial_gate gate{by};
        auto now = start;
        for (int i = 0; i < 20; ++i) {
            gate.on_failure(why, now, 1.0);
            CHECK(gate.opens() - now == (why == dial_failure::full ? 1000ms : 200ms));
            now = gate.opens();
            gate.tick(now);
        }
    }
}

TEST_CASE("RE-7: ten refusals within 150 s stop all dials for 120 s, whoever is asked meanwhile") {
    const limits by;
    dial_gate gate{by};
    auto now = start;
    for (int i = 1; i < 10; ++i) {
        gate.on_failure(dial_failure::refused, now, 1.0);
        REQUIRE_FALSE(gate.breaker_is_open());
        now = gate.opens();
        gate.tick(now);
    }
    gate.on_failure(dial_failure::refused, now, 1.0);
    CHECK(gate.breaker_is_open());
    CHECK(gate.opens() == now + 120s);
    gate.tick(now + 120s);
    CHECK(gate.is_open());
    CHECK_FALSE(gate.breaker_is_open());
}

TEST_CASE("RE-7: refusals further apart than the window trip no breaker") {
    const limits by;
    dial_gate gate{by};
    auto now = start;
    for (int i = 0; i < 50; ++i) {
        gate.on_failure(dial_failure::refused, now, 1.0);
        CHECK_FALSE(gate.breaker_is_open());
        now += 17s;  // at most nine within 150 s
        gate.tick(now);
    }
}

TEST_CASE("RE-2: a success ends the backoff and forgets the refusals") {
    const limits by{.breaker_failures = 3};
    dial_gate gate{by};
    for (int i = 0; i < 5; ++i) {
        gate.on_failure(dial_failure::refused, start, 1.0);
        gate.on_failure(dial_failure::refused, start, 1.0);
        CHECK_FALSE(gate.breaker_is_open());
        gate.on_success();
        CHECK(gate.is_open());
        CHECK_FALSE(gate.is_probing());
    }
    gate.on_failure(dial_failure::transient, start, 1.0);
    CHECK(gate.opens() == start + 100ms);
}

TEST_CASE("RE-2: of dials that fail together the first alone shuts the gate") {
    const limits by;
    dial_gate gate{by};
    gate.on_failure(dial_failure::transient, start, 1.0);
    gate.on_failure(dial_failure::transient, start + 10ms, 1.0);
    CHECK(gate.opens() == start + 100ms);
    gate.tick(gate.opens());
    gate.on_failure(dial_failure::transient, start + 1s, 1.0);
    CHECK(gate.opens() == start + 1s + 200ms);
}

TEST_CASE("RE-4: after an outage dials double by the round, up to max_connecting") {
    const limits by{.max_connecting = 8};
    dial_gate gate{by};
    CHECK(gate.parallel() == 8);
    gate.on_failure(dial_failure::transient, start, 1.0);
    for (const std::size_t round : {1U, 2U, 4U, 8U}) {
        CHECK(gate.parallel() == round);
        for (std::size_t i = 0; i < round; ++i) {
            gate.on_success();
        }
    }
    CHECK(gate.parallel() == 8);
}

TEST_CASE("RE-6: newcomers fail fast once the outage is old enough, until the prober succeeds") {
    const limits off;
    dial_gate never_fast{off};
    never_fast.on_failure(dial_failure::transient, start, 1.0);
    CHECK_FALSE(never_fast.fails_fast(start + 24h));

    const limits by{.fail_fast_after = 5s};
    dial_gate gate{by};
    CHECK_FALSE(gate.fails_fast(start));
    gate.on_failure(dial_failure::transient, start, 1.0);
    CHECK_FALSE(gate.fails_fast(start + 5s - 1ns));
    CHECK(gate.fails_fast(start + 5s));
    gate.tick(start + 5s);
    CHECK(gate.fails_fast(start + 5s));  // the prober is under way
    gate.on_success();
    CHECK_FALSE(gate.fails_fast(start + 5s));

    const limits at_once{.fail_fast_after = 0s};
    dial_gate fast{at_once};
    fast.on_failure(dial_failure::transient, start, 1.0);
    CHECK(fast.fails_fast(start));
}

TEST_CASE("a dial that was given up is no failure") {
    const limits by;
    dial_gate gate{by};
    gate.on_failure(dial_failure::aborted, start, 1.0);
    CHECK(gate.is_open());
    CHECK_FALSE(gate.is_probing());
}
