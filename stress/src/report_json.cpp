#include "duration.hpp"
#include "report.hpp"

#include <algorithm>

namespace trunkline::stress {

namespace json = boost::json;

namespace {

json::object quantiles_ms(const histogram_snapshot& from) {
    return {{"p50", to_milliseconds(from.quantile(0.5))},
            {"p90", to_milliseconds(from.quantile(0.9))},
            {"p99", to_milliseconds(from.quantile(0.99))},
            {"p999", to_milliseconds(from.quantile(0.999))},
            {"max", to_milliseconds(from.longest)}};
}

json::object counted_quantiles_ms(const histogram_snapshot& from) {
    auto made = quantiles_ms(from);
    made["count"] = from.count;
    made["mean"] = to_milliseconds(from.mean());
    return made;
}

json::object operations_of(const measurements& run) {
    json::object by_kind;
    for (const auto which : all_operations) {
        const auto& tally = run.tallies[index_of(which)];
        json::object kind{{"total", tally.ok + tally.failed}, {"ok", tally.ok}, {"failed", tally.failed}};
        kind["latency_ms"] = quantiles_ms(run.latency_by_kind[index_of(which)]);
        by_kind[name_of(which)] = std::move(kind);
    }
    json::object errors;
    for (const auto& [kind, failures] : run.failures) {
        errors[kind] = json::object{{"count", failures.count}, {"first", failures.first}};
    }
    json::object made{
        {"total", run.ok() + run.failed()}, {"ok", run.ok()}, {"failed", run.failed()}, {"missed", run.missed}};
    made["by_kind"] = std::move(by_kind);
    made["errors"] = std::move(errors);
    return made;
}

json::object pool_of(const pool_stats& from) {
    json::object made{{"max", from.max},
                      {"min", from.min},
                      {"total", from.total},
                      {"connecting", from.connecting},
                      {"idle", from.idle},
                      {"leased", from.leased},
                      {"resetting", from.resetting},
                      {"closing", from.closing},
                      {"waiting", from.waiting},
                      {"acquires", from.acquires},
                      {"immediate", from.immediate},
                      {"granted", from.granted},
                      {"timed_out", from.timed_out},
                      {"rejected", from.rejected},
                      {"cancelled", from.cancelled},
                      {"failed", from.failed},
                      {"dials", from.dials},
                      {"opened", from.opened},
                      {"dials_failed", from.dials_failed},
                      {"lost", from.lost},
                      {"reaped_idle", from.reaped_idle},
                      {"reaped_old", from.reaped_old},
                      {"retired", from.retired},
                      {"discarded", from.discarded},
                      {"rollbacks", from.rollbacks}};
    made["wait_ms"] = counted_quantiles_ms(from.wait);
    made["use_ms"] = counted_quantiles_ms(from.use);
    made["dial_ms"] = counted_quantiles_ms(from.dial);
    return made;
}

json::object slo_of(const report& from) {
    json::array broken;
    for (const auto& each : from.verdict.broken) {
        broken.emplace_back(each);
    }
    json::object made{{"expression", from.asked.wanted ? from.asked.wanted->expression : ""},
                      {"passed", from.verdict.passed}};
    made["broken"] = std::move(broken);
    return made;
}

json::object capacity_of(const report& from) {
    json::array steps;
    for (const auto& step : from.steps) {
        steps.push_back(json::object{{"rate_per_s", step.rate_per_s},
                                     {"held", step.held},
                                     {"throughput_per_s", step.throughput_per_s},
                                     {"p99_ms", step.p99_ms},
                                     {"failed", step.failed}});
    }
    json::object made{{"rate_per_s", from.capacity_per_s()}, {"step_s", to_seconds(from.asked.step)}};
    made["steps"] = std::move(steps);
    return made;
}

json::object loop_of(const options& asked) {
    if (asked.mode == run_mode::capacity) {
        return {{"kind", "open"}};
    }
    if (asked.rate) {
        return {{"kind", "open"}, {"rate_per_s", *asked.rate}};
    }
    return {{"kind", "closed"}, {"think_s", to_seconds(asked.think)}};
}

}  // namespace

json::object to_json(const report& from) {
    const auto operations = from.run.ok() + from.run.failed();
    const double cpu_us = std::chrono::duration<double, std::micro>(from.run.cpu).count();
    json::object made;
    made["clients"] = from.asked.clients;
    made["connections"] = from.asked.connections;
    made["threads"] = from.asked.threads;
    made["seed"] = from.asked.seed;
    made["mix"] = to_string(from.asked.operations);
    made["loop"] = loop_of(from.asked);
    made["duration_s"] = to_seconds(from.run.elapsed);
    made["interrupted"] = from.interrupted;
    made["posts"] = json::object{{"loaded", from.load.loaded},
                                 {"malformed", from.load.malformed},
                                 {"duplicates", from.load.duplicates},
                                 {"load_s", to_seconds(from.load.elapsed)}};
    made["operations"] = operations_of(from.run);
    made["throughput_per_s"] = from.run.throughput_per_s();
    made["latency_ms"] = quantiles_ms(from.run.latency);
    made["acquire_wait_ms"] = quantiles_ms(from.run.acquire_wait);
    made["writes"] = json::object{{"acknowledged", from.writes.acknowledged},
                                  {"found", from.writes.found},
                                  {"lost", from.writes.lost},
                                  {"unknown", from.writes.unknown},
                                  {"unexpected", from.writes.unexpected}};
    made["client_cpu_us_per_op"] = operations > 0 ? cpu_us / static_cast<double>(operations) : 0;
    made["client_peak_rss_mib"] = from.client_peak_rss_mib;
    made["server_connections_max"] = from.server_connections_max;
    made["server_looks"] = from.server_looks;
    made["pool"] = pool_of(from.pool);
    made["slo"] = slo_of(from);
    if (from.asked.mode == run_mode::capacity) {
        made["capacity"] = capacity_of(from);
    }
    return made;
}

}  // namespace trunkline::stress
