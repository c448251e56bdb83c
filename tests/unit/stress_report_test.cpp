#include "json_text.hpp"
#include "report.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cmath>
#include <string>

namespace {

using namespace trunkline::stress;
using trunkline::test::has_text;
using namespace std::chrono_literals;

report some_report() {
    report made;
    made.asked.operations = parse_mix("read=3,update=1");
    made.asked.wanted = parse_slo("p99<500ms,errors=0");
    made.load.loaded = 48'555;
    made.run.elapsed = 10s;
    made.run.cpu = 1s;
    made.run.tallies[index_of(operation::read)] = {.ok = 900, .failed = 0};
    made.run.tallies[index_of(operation::update)] = {.ok = 99, .failed = 1};
    for (int i = 0; i < 999; ++i) {
        made.run.latency.record(10ms);
        made.run.acquire_wait.record(5ms);
    }
    made.run.failures["sqlstate 57P01"] = {.count = 1, .first = "FATAL: shut down"};
    made.writes = {.acknowledged = 99, .found = 99};
    made.server_connections_max = 50;
    made.client_peak_rss_mib = 30.5;
    made.verdict = evaluate(*made.asked.wanted, values_of(made.run, made.writes));
    return made;
}

/// Within two per cent: what a histogram's bucket costs.
bool close_to(double value, double expected) { return std::abs(value - expected) <= 0.02 * expected; }

}  // namespace

TEST_CASE("report: the JSON has every key that is promised, with the right values") {
    const auto json = boost::json::parse(to_text(to_json(some_report())));
    for (const auto* path : {"/clients",
                             "/connections",
                             "/duration_s",
                             "/operations/total",
                             "/operations/ok",
                             "/operations/failed",
                             "/operations/by_kind",
                             "/throughput_per_s",
                             "/latency_ms/p50",
                             "/latency_ms/p90",
                             "/latency_ms/p99",
                             "/latency_ms/p999",
                             "/latency_ms/max",
                             "/acquire_wait_ms/p50",
                             "/acquire_wait_ms/p90",
                             "/acquire_wait_ms/p99",
                             "/acquire_wait_ms/p999",
                             "/acquire_wait_ms/max",
                             "/writes/acknowledged",
                             "/writes/found",
                             "/writes/lost",
                             "/client_cpu_us_per_op",
                             "/client_peak_rss_mib",
                             "/server_connections_max",
                             "/pool/total",
                             "/slo/expression",
                             "/slo/passed"}) {
        CAPTURE(path);
        boost::json::error_code problem;
        CHECK(json.find_pointer(path, problem) != nullptr);
    }
    CHECK(json.at_pointer("/clients").to_number<int>() == 10'000);
    CHECK(json.at_pointer("/operations/total").to_number<int>() == 1'000);
    CHECK(json.at_pointer("/operations/by_kind/update/failed").to_number<int>() == 1);
    CHECK(json.at_pointer("/operations/errors/sqlstate 57P01/count").to_number<int>() == 1);
    CHECK(close_to(json.at_pointer("/throughput_per_s").to_number<double>(), 99.9));
    CHECK(close_to(json.at_pointer("/latency_ms/p99").to_number<double>(), 10));
    CHECK(close_to(json.at_pointer("/client_cpu_us_per_op").to_number<double>(), 1'000));
    CHECK(json.at_pointer("/slo/expression").as_string() == "p99<500ms,errors=0");
    CHECK_FALSE(json.at_pointer("/slo/passed").as_bool());
}

TEST_CASE("report: the table says what broke the SLO and what failed") {
    const auto table = to_table(some_report());
    CHECK_THAT(table, has_text("48,555 loaded"));
    CHECK_THAT(table, has_text("errors=0: was 1"));
    CHECK_THAT(table, has_text("1 x sqlstate 57P01; the first: FATAL: shut down"));
    CHECK_THAT(table, has_text("99 acknowledged, 99 found, 0 lost"));
}

TEST_CASE("report: a lost write, a write done twice and a session too many each make the run unsound") {
    CHECK(some_report().sound());
    auto lost = some_report();
    lost.writes.lost = 1;
    CHECK_FALSE(lost.sound());
    auto twice = some_report();
    twice.writes.unexpected = 1;
    CHECK_FALSE(twice.sound());
    auto crowded = some_report();
    crowded.server_connections_max = 51;
    CHECK_FALSE(crowded.sound());
}

TEST_CASE("report: the capacity is the highest rate that held") {
    auto made = some_report();
    CHECK(made.capacity_per_s() == 0);
    made.asked.mode = run_mode::capacity;
    made.steps = {
        {.rate_per_s = 100, .held = true}, {.rate_per_s = 400, .held = false}, {.rate_per_s = 200, .held = true}};
    CHECK(made.capacity_per_s() == 200);
    const auto json = boost::json::parse(to_text(to_json(made)));
    CHECK(json.at_pointer("/capacity/rate_per_s").to_number<double>() == 200);
    CHECK(json.at_pointer("/capacity/steps/1/held").as_bool() == false);
    CHECK_THAT(to_table(made), has_text("200/s held"));
}
