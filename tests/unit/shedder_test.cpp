#include "core/shedder.hpp"
#include "support/catch.hpp"

namespace {

using namespace trunkline::core;
using namespace std::chrono_literals;

constexpr time_point start{1000s};
constexpr nanoseconds target = 50ms;
constexpr nanoseconds interval = 2s;

}  // namespace

TEST_CASE("AQ-8: a queue stands once even the shortest wait of a whole interval was above the target") {
    shedder s;
    for (auto t = 0ms; t < 2s; t += 100ms) {
        s.on_served(60ms, start + t, target, interval);
        REQUIRE_FALSE(s.stands(start + t, target, interval));
    }
    CHECK(s.stands(start + 2s, target, interval));
}

TEST_CASE("AQ-8: one quick service in the interval is a swing, not a standing queue") {
    shedder s;
    for (auto t = 0ms; t < 2s; t += 100ms) {
        s.on_served(t == 700ms ? 50ms : 5s, start + t, target, interval);
    }
    CHECK_FALSE(s.stands(start + 2s, target, interval));
    CHECK(s.stands(start + 4s, target, interval));  // nobody was served at all
}

TEST_CASE("AQ-8: a quick service or an empty queue ends the shedding at once") {
    for (const bool empties : {true, false}) {
        shedder s;
        s.on_served(60ms, start, target, interval);
        REQUIRE(s.stands(start + 2s, target, interval));
        if (empties) {
            s.on_empty();
        } else {
            s.on_served(50ms, start + 2s, target, interval);
        }
        CHECK_FALSE(s.stands(start + 2s, target, interval));
        CHECK_FALSE(s.stands(start + 3s, target, interval));
    }
}
