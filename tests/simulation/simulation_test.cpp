// The core under a virtual clock, a scripted server and random clients, watched by a model of its own.
//
//   TRUNKLINE_SIMULATION_SEEDS=N        how many seeds (10,000 unless told)
//   TRUNKLINE_SIMULATION_FIRST_SEED=S   the first of them (1 unless told)
//   TRUNKLINE_SIMULATION_SEED=S         this one alone
//
// The history of a single seed is printed as it happens: it is seen even if an assertion ends the program.
#include "support/catch.hpp"
#include "world.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using simulation::history;
using simulation::world;

std::optional<std::uint64_t> number_from(const char* variable) {
    const char* const text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): nothing else runs
    if (text == nullptr || *text == '\0') {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
    if (error != std::errc{} || *end != '\0') {
        throw std::invalid_argument{std::string{variable} + " is \"" + text + "\"; give a whole number"};
    }
    return value;
}

struct verdict {
    std::string broken_rule;  ///< empty: none
    std::string tail;
    std::size_t steps = 0;
};

verdict judge(std::uint64_t seed, history::mode how) {
    world w{seed, how};
    try {
        w.run();
    } catch (const simulation::violation& v) {
        return {v.what(), w.past().tail(), w.steps()};
    }
    return {{}, w.past().tail(), w.steps()};
}

}  // namespace

TEST_CASE("SA-4, RE-11: the core keeps the rules of the design whatever the seed") {
    const auto only = number_from("TRUNKLINE_SIMULATION_SEED");
    const auto first = only.value_or(number_from("TRUNKLINE_SIMULATION_FIRST_SEED").value_or(1));
    const auto seeds = only ? 1 : number_from("TRUNKLINE_SIMULATION_SEEDS").value_or(10'000);
    std::size_t steps = 0;
    for (auto seed = first; seed != first + seeds; ++seed) {
        INFO("seed " << seed << "; to see it again: ./tests/run simulation --seeds 1 --first-seed " << seed);
        const auto found = judge(seed, seeds == 1 ? history::mode::print : history::mode::off);
        steps += found.steps;
        if (!found.broken_rule.empty()) {
            FAIL("broken: " << found.broken_rule << "\n" << (seeds == 1 ? "" : judge(seed, history::mode::tail).tail));
        }
    }
    REQUIRE(steps > 0);
    WARN(seeds << " seeds, " << steps << " events");
}

TEST_CASE("a seed replays exactly") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const auto once = judge(seed, history::mode::tail);
        const auto again = judge(seed, history::mode::tail);
        REQUIRE(!once.tail.empty());
        REQUIRE(once.tail == again.tail);
        REQUIRE(once.steps == again.steps);
    }
}
