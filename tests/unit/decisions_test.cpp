#include "core/decisions.hpp"
#include "support/catch.hpp"

#include <cstddef>

namespace {

using namespace trunkline::core;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE("as many dials begin as waiters or the floor need, within the limits") {
    struct row {
        const char* why;
        dial_view view;
        std::size_t wanted;
    };
    const row rows[] = {
        {"nobody waits and there is no floor", {.max = 10, .parallel = 2}, 0},
        {"one waiter, one dial", {.waiting = 1, .max = 10, .parallel = 2}, 1},
        {"a dial under way serves a waiter", {.waiting = 1, .connecting = 1, .total = 1, .max = 10, .parallel = 2}, 0},
        {"many waiters, as many dials as run at once", {.waiting = 9, .max = 10, .parallel = 2}, 2},
        {"what is under way counts", {.waiting = 9, .connecting = 1, .total = 1, .max = 10, .parallel = 2}, 1},
        {"no room", {.waiting = 9, .live = 10, .total = 10, .max = 10, .parallel = 2}, 0},
        {"room for one", {.waiting = 9, .live = 9, .total = 9, .max = 10, .parallel = 2}, 1},
        {"closing sessions take room", {.waiting = 9, .live = 8, .total = 10, .max = 10, .parallel = 2}, 0},
        {"max was lowered below what is open", {.waiting = 9, .live = 8, .total = 8, .max = 5, .parallel = 2}, 0},
        {"max_connecting was lowered", {.waiting = 9, .connecting = 4, .total = 4, .max = 10, .parallel = 2}, 0},
        {"the floor lacks one", {.live = 4, .total = 4, .floor = 5, .max = 10, .parallel = 2}, 1},
        {"the floor lacks many", {.floor = 5, .max = 10, .parallel = 3}, 3},
        {"a dial under way raises the floor",
         {.connecting = 1, .live = 4, .total = 5, .floor = 5, .max = 10, .parallel = 2},
         0},
        {"closing sessions do not", {.live = 4, .total = 5, .floor = 5, .max = 10, .parallel = 2}, 1},
        {"waiters and floor share the dials", {.waiting = 2, .floor = 3, .max = 10, .parallel = 9}, 3},
        {"one probe", {.waiting = 9, .max = 10, .parallel = 1}, 1},
        {"one probe and no second", {.waiting = 9, .connecting = 1, .total = 1, .max = 10, .parallel = 1}, 0},
        {"a check under way serves a waiter",
         {.waiting = 2, .checking = 1, .live = 1, .total = 1, .max = 10, .parallel = 2},
         1},
        {"waiters get their dials one at a time", {.waiting = 9, .max = 10, .parallel = 2, .one_by_one = true}, 1},
        {"and none beside one under way during the pause",
         {.waiting = 9, .connecting = 1, .total = 1, .max = 10, .parallel = 2, .one_by_one = true, .pausing = true},
         0},
        {"the pause over, the next one",
         {.waiting = 9, .connecting = 1, .total = 1, .max = 10, .parallel = 2, .one_by_one = true},
         1},
        {"a pause stops no first dial",
         {.waiting = 9, .max = 10, .parallel = 2, .one_by_one = true, .pausing = true},
         1},
        {"nor the floor's dials",
         {.waiting = 9,
          .connecting = 1,
          .total = 1,
          .floor = 4,
          .max = 10,
          .parallel = 3,
          .one_by_one = true,
          .pausing = true},
         2},
        {"the idle floor lacks two", {.idle = 1, .live = 5, .total = 5, .idle_floor = 3, .max = 10, .parallel = 4}, 2},
        {"what comes will be idle",
         {.connecting = 1, .idle = 1, .live = 5, .total = 6, .idle_floor = 3, .max = 10, .parallel = 4},
         1},
        {"but waiters take it first",
         {.waiting = 1, .connecting = 1, .live = 5, .total = 6, .idle_floor = 2, .max = 10, .parallel = 4},
         2},
        {"the idle floor has no room", {.live = 10, .total = 10, .idle_floor = 3, .max = 10, .parallel = 4}, 0},
        {"a replacement", {.idle = 3, .live = 3, .total = 3, .max = 10, .parallel = 2, .replacements = 1}, 1},
        {"a knock", {.max = 10, .parallel = 1, .knock = true}, 1},
        {"a knock that waiters do already", {.waiting = 3, .max = 10, .parallel = 1, .knock = true}, 1},
    };
    for (const auto& r : rows) {
        INFO(r.why);
        CHECK(dials_wanted(r.view) == r.wanted);
    }
}

TEST_CASE("RE-2: the backoff doubles up to its limit and is drawn from its upper half") {
    CHECK(backoff_delay(1, 100ms, 5s, 1.0) == 100ms);
    CHECK(backoff_delay(2, 100ms, 5s, 1.0) == 200ms);
    CHECK(backoff_delay(3, 100ms, 5s, 1.0) == 400ms);
    CHECK(backoff_delay(6, 100ms, 5s, 1.0) == 3200ms);
    CHECK(backoff_delay(7, 100ms, 5s, 1.0) == 5s);
    CHECK(backoff_delay(4'000'000'000, 100ms, 5s, 1.0) == 5s);
    CHECK(backoff_delay(1, 100ms, 5s, 0.5) == 50ms);
    CHECK(backoff_delay(7, 100ms, 5s, 0.75) == 3750ms);
    CHECK(backoff_delay(1, 5s, 5s, 1.0) == 5s);
}

TEST_CASE("RE-3: the shortest waits allow 13 dials in 20 s and 29 in 60 s") {
    const auto dials_within = [](std::chrono::nanoseconds outage) {
        unsigned dials = 1;
        for (std::chrono::nanoseconds at{}; (at += backoff_delay(dials, 100ms, 5s, 0.5)) <= outage;) {
            ++dials;
        }
        return dials;
    };
    CHECK(dials_within(20s) == 13);
    CHECK(dials_within(60s) == 29);
}

TEST_CASE("LC-1: a lifetime is up to a tenth shorter than its limit, also below a second") {
    const time_point opened{1000s};
    CHECK(retirement(opened, 30min, 0.0) == opened + 30min);
    CHECK(retirement(opened, 30min, 1.0) == opened + 27min);
    CHECK(retirement(opened, 10ms, 0.5) == opened + 9500us);
    CHECK(retirement(opened, 0ms, 0.5) == never);
}

TEST_CASE("connections are looked at eight times in the shortest time that is kept so") {
    CHECK(sweep_interval({.idle_timeout = 8s}) == 1s);
    CHECK(sweep_interval({.idle_timeout = 1ms}) == 1ms);
    CHECK(sweep_interval({.idle_timeout = 0ms}) == 0ns);
    CHECK(sweep_interval({.idle_timeout = 8s, .lease_timeout = 4s}) == 500ms);
    CHECK(sweep_interval({.idle_timeout = 8s, .leak_threshold = 2s}) == 250ms);
    CHECK(sweep_interval({.idle_timeout = 80s, .validate_after = 1s}) == 1s);
    CHECK(sweep_interval({.idle_timeout = 0ms, .keepalive = 80s}) == 10s);
}

TEST_CASE("LC-6: a sign of life is asked for after the interval, a tenth more or less") {
    const time_point alive{1000s};
    CHECK(next_keepalive(alive, 100s, 0.0) == alive + 90s);
    CHECK(next_keepalive(alive, 100s, 0.5) == alive + 100s);
    CHECK(next_keepalive(alive, 100s, 1.0) == alive + 110s);
    CHECK(next_keepalive(alive, 0s, 0.5) == never);
}

TEST_CASE("SZ-2: a pool's share of the server is rounded down and never below 2") {
    CHECK(automatic_max(97, 0.8, 1) == 77);
    CHECK(automatic_max(97, 1.0, 1) == 97);
    CHECK(automatic_max(97, 0.8, 4) == 19);
    CHECK(automatic_max(97, 0.8, 100) == 2);
    CHECK(automatic_max(0, 0.8, 1) == 2);
}
