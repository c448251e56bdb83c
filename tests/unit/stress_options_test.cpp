#include "duration.hpp"
#include "mix.hpp"
#include "options.hpp"
#include "rate_search.hpp"
#include "slo.hpp"
#include "stress_refusal.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "user_error.hpp"

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace trunkline::stress;
using trunkline::test::has_text;
using namespace std::chrono_literals;

parsed_options parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "trunkline-stress");
    return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("durations: a number with its unit is read, and written again in one "
          "unit") {
    CHECK(parse_duration("60s", "x") == 60s);
    CHECK(parse_duration("500ms", "x") == 500ms);
    CHECK(parse_duration("1.5s", "x") == 1500ms);
    CHECK(parse_duration("250us", "x") == 250us);
    CHECK(parse_duration("5m", "x") == 5min);
    CHECK(parse_duration("2h", "x") == 2h);
    CHECK(parse_duration("0s", "x") == 0s);
    CHECK(format_duration(60s) == "60s");
    CHECK(format_duration(1500ms) == "1500ms");
    CHECK(format_duration(250us) == "250us");
}

TEST_CASE("durations: what is wrong is quoted with the remedy") {
    const std::vector<std::pair<const char*, const char*>> examples{
        {"10", "--think: '10' has no unit; write 10s"},
        {"", "is not a duration"},
        {"ten seconds", "is not a duration"},
        {"s", "is not a duration"},
        {"-5s", "is negative"},
        {"10 s", "has the unknown unit ' s'"},
        {"10sec", "has the unknown unit 'sec'; use us, ms, s, m or h"},
        {"1e9s", "unknown unit"},
        {"inf", "is not a duration"},
        {"99999999h", "is longer than a year"},
    };
    for (const auto& [text, expected] : examples) {
        CAPTURE(text);
        const auto said = refusal_of([text = text] { parse_duration(text, "--think"); });
        CHECK_THAT(said, has_text(expected));
        CHECK_THAT(said, has_text("--think: "));
    }
}

TEST_CASE("mix: any subset in any order is read and operations come by weight") {
    const auto all = parse_mix("search=60,read=25,update=10,insert=5");
    CHECK(all.total() == 100);
    CHECK(to_string(all) == "search=60,read=25,update=10,insert=5");
    CHECK(to_string(parse_mix("insert=1,read=3")) == "read=3,insert=1");
    const auto reads = parse_mix("read=100");
    CHECK_FALSE(reads.has(operation::search));
    std::array<int, operation_count> counts{};
    for (std::uint64_t i = 0; i < 1'000; ++i) {
        CHECK(reads.pick(i) == operation::read);
        ++counts[index_of(all.pick(i))];
    }
    CHECK(counts == std::array<int, operation_count>{600, 250, 100, 50});
}

TEST_CASE("mix: what is wrong is quoted with the remedy") {
    const std::vector<std::pair<const char*, const char*>> examples{
        {"", "'' is not operation=weight"},
        {"read", "'read' is not operation=weight"},
        {"read=1,", "'' is not operation=weight"},
        {"read=1,,update=1", "'' is not operation=weight"},
        {"delete=5", "'delete=5' names no operation; use search, read, update or insert"},
        {"Read=5", "names no operation"},
        {"read=5,read=6", "'read=6' names an operation a second time"},
        {"read=0", "needs a weight from 1 to 1000000"},
        {"read=-1", "needs a weight"},
        {"read=1.5", "needs a weight"},
        {"read=", "needs a weight"},
        {"read=2000000", "needs a weight"},
        {"read= 5", "needs a weight"},
    };
    for (const auto& [text, expected] : examples) {
        CAPTURE(text);
        const auto said = refusal_of([text = text] { parse_mix(text); });
        CHECK_THAT(said, has_text(expected));
        CHECK_THAT(said, has_text("--mix: "));
    }
}

TEST_CASE("slo: each relation holds exactly where it should") {
    struct example {
        const char* text;
        double value_ms;
        bool holds;
    };
    const std::vector<example> examples{
        {"p99<500ms", 499.9, true},  {"p99<500ms", 500, false}, {"p99<=500ms", 500, true}, {"p99<=500ms", 501, false},
        {"p99=500ms", 500, true},    {"p99==500ms", 500, true}, {"p99=500ms", 501, false}, {"p99>=500ms", 500, true},
        {"p99>=500ms", 499, false},  {"p99>500ms", 501, true},  {"p99>500ms", 500, false}, {"p99<0.5s", 499.9, true},
        {"p99<500000us", 500, false}};
    for (const auto& [text, value, holds] : examples) {
        CAPTURE(text, value);
        slo_values measured;
        measured.p99_ms = value;
        measured.operations = 1;
        const auto verdict = evaluate(parse_slo(text), measured);
        CHECK(verdict.passed == holds);
        CHECK(verdict.broken.size() == (holds ? 0U : 1U));
    }
}

TEST_CASE("slo: every term must hold, and the broken ones say what was") {
    const auto wanted = parse_slo("p50<10ms, p90<20ms,p99.9<1s,max<2s,errors=0,lost=0,throughput>=900/s");
    CHECK(wanted.terms.size() == 7);
    slo_values measured{.p50_ms = 1,
                        .p90_ms = 2,
                        .p99_ms = 3,
                        .p999_ms = 4,
                        .max_ms = 5,
                        .throughput_per_s = 950,
                        .errors = 0,
                        .lost = 0,
                        .operations = 10};
    CHECK(evaluate(wanted, measured).passed);
    measured.p90_ms = 25.04;
    measured.errors = 3;
    measured.throughput_per_s = 12.34;
    const auto verdict = evaluate(wanted, measured);
    CHECK_FALSE(verdict.passed);
    CHECK(verdict.broken ==
          std::vector<std::string>{"p90<20ms: was 25.0 ms", "errors=0: was 3", "throughput>=900/s: was 12.3/s"});
}

TEST_CASE("slo: a latency that nobody measured is not kept") {
    const auto verdict = evaluate(parse_slo("p99<500ms,errors=0"), slo_values{});
    CHECK_FALSE(verdict.passed);
    CHECK(verdict.broken == std::vector<std::string>{"p99<500ms: no operation was measured"});
}

TEST_CASE("slo: what is wrong is quoted with the remedy") {
    const std::vector<std::pair<const char*, const char*>> examples{
        {"", "'' is not metric, relation, limit"},
        {"p99", "is not metric, relation, limit"},
        {"<500ms", "is not metric, relation, limit"},
        {"p98<500ms", "is about nothing that is measured; use p50"},
        {"p99<500", "'500' has no unit"},
        {"p99<fast", "is not a duration"},
        {"p99<", "is not a duration"},
        {"errors=few", "needs a count"},
        {"errors=0.5", "needs a whole number"},
        {"errors=-1", "needs a count"},
        {"errors<5ms", "needs a count"},
        {"throughput>fast", "needs a number of operations per second"},
        {"p99<500ms,", "'' is not metric, relation, limit"},
    };
    for (const auto& [text, expected] : examples) {
        CAPTURE(text);
        const auto said = refusal_of([text = text] { parse_slo(text); });
        CHECK_THAT(said, has_text(expected));
        CHECK_THAT(said, has_text("--slo: "));
    }
}

TEST_CASE("options: the main job's command line is read") {
    const auto parsed =
        parse({"--posts", "/data", "--clients", "10000", "--connections", "50", "--duration", "60s", "--think", "10s",
               "--slo", "p99<500ms,errors=0", "--json", "out.json", "--threads", "2", "--seed", "9"});
    REQUIRE(parsed.run.has_value());
    const auto& run = *parsed.run;
    CHECK(run.mode == run_mode::once);
    CHECK(run.posts == "/data");
    CHECK(run.clients == 10'000);
    CHECK(run.connections == 50);
    CHECK(run.duration == 60s);
    CHECK(run.think == 10s);
    CHECK_FALSE(run.rate.has_value());
    CHECK(run.threads == 2);
    CHECK(run.seed == 9);
    CHECK(run.operations == parse_mix("search=60,read=25,update=10,insert=5"));
    REQUIRE(run.wanted.has_value());
    CHECK(run.wanted->terms.size() == 2);
    CHECK(run.json == "out.json");
}

TEST_CASE("options: capacity takes its flags before or behind it, and has an "
          "SLO of its own") {
    for (const auto& arguments : {std::vector{"capacity", "--rate", "200", "--step", "5s"},
                                  std::vector{"--rate=200/s", "--step=5s", "capacity"}}) {
        const auto parsed = parse(arguments);
        REQUIRE(parsed.run.has_value());
        CHECK(parsed.run->mode == run_mode::capacity);
        CHECK(parsed.run->rate == 200.0);
        CHECK(parsed.run->step == 5s);
        REQUIRE(parsed.run->wanted.has_value());
        CHECK(parsed.run->wanted->expression == "p99<500ms,errors=0");
    }
}

TEST_CASE("options: help is a text, not a run") {
    const auto parsed = parse({"--help"});
    CHECK_FALSE(parsed.run.has_value());
    CHECK_THAT(parsed.text, has_text("--posts") && has_text("capacity") && has_text("Exit codes"));
}

TEST_CASE("options: what cannot be used is refused in one sentence with the remedy") {
    const std::vector<std::pair<std::vector<const char*>, const char*>> examples{
        {{"--nope"}, "unknown flag --nope; trunkline-stress --help lists what there is"},
        {{"capacity", "--nope"}, "unknown flag --nope"},
        {{"nonsense"}, "unexpected argument nonsense"},
        {{"--clients"}, "--clients"},
        {{"--clients", "many"},
         "--clients: 'many' does not fit; give a whole number from 1 to "
         "1000000"},
        {{"--clients", "0"}, "--clients: '0' does not fit"},
        {{"--clients", ""}, "--clients needs a value"},
        {{"--connections", "100000"}, "--connections: '100000' does not fit"},
        {{"--threads", "-1"}, "--threads"},
        {{"--duration", "60"}, "--duration: '60' has no unit"},
        {{"--duration", "1ms"}, "--duration: '1ms' is too short; give 100ms or more"},
        {{"--timeout", "0s"}, "--timeout: '0s' is too short"},
        {{"--rate", "0"}, "--rate: '0' does not fit"},
        {{"--rate", "fast"}, "--rate: 'fast' does not fit"},
        {{"--mix", "reed=1"}, "--mix: 'reed=1' names no operation"},
        {{"--slo", "p99<500"}, "--slo: "},
        {{"--think", "10s", "--rate", "5"}, "--think and --rate exclude each other"},
        {{"--posts", "/x", "--synthetic", "5"}, "--posts and --synthetic exclude each other"},
        {{"capacity", "--think", "1s"}, "--think has no meaning there"},
        {{"capacity", "--duration", "10s"}, "--duration has no meaning there"},
        {{"--step", "10s"}, "--step is for the capacity command"},
    };
    for (const auto& [arguments, expected] : examples) {
        CAPTURE(arguments);
        CHECK_THAT(refusal_of([&arguments = arguments] { parse(arguments); }), has_text(expected));
    }
}

TEST_CASE("rate search: it finds the highest rate that holds, within its precision") {
    for (const double limit : {1.5, 80.0, 100.0, 777.0, 12'345.0}) {
        CAPTURE(limit);
        rate_search search{100};
        int steps = 0;
        while (const auto rate = search.next()) {
            REQUIRE(++steps < 40);
            search.on_result(*rate <= limit);
        }
        REQUIRE(search.held().has_value());
        CHECK(*search.held() <= limit);
        CHECK(*search.held() * rate_search::precision >= limit * 0.999);
    }
}

TEST_CASE("rate search: it ends where nothing holds and where everything does") {
    for (const bool holds : {false, true}) {
        rate_search search{100};
        int steps = 0;
        while (search.next()) {
            REQUIRE(++steps < 40);
            search.on_result(holds);
        }
        CHECK(search.held().has_value() == holds);
    }
}
