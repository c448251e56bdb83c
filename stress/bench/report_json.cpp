#include "report.hpp"

#include <boost/json/array.hpp>
#include <boost/version.hpp>

#include <libpq-fe.h>

#include <fstream>
#include <sys/utsname.h>
#include <thread>

namespace trunkline::bench {

namespace json = boost::json;

namespace {

json::object json_of(const spread& of) {
    json::object out;
    out["median"] = of.median;
    out["lowest"] = of.lowest;
    out["highest"] = of.highest;
    return out;
}

json::object json_of(const std::vector<query_figures>& rounds) {
    const auto of = [&rounds](double query_figures::*figure) { return median_of(rounds, figure); };
    json::object latency;
    latency["p50"] = of(&query_figures::p50_ms);
    latency["p99"] = of(&query_figures::p99_ms);
    latency["p999"] = of(&query_figures::p999_ms);
    json::object out;
    out["throughput_per_s"] = of(&query_figures::throughput_per_s);
    out["cpu_us_per_query"] = of(&query_figures::cpu_us_per_query);
    out["latency_ms"] = std::move(latency);
    out["p999_over_p50"] = ratio_of(of(&query_figures::p999_ms), of(&query_figures::p50_ms));
    out["wait_p999_over_p50"] = ratio_of(of(&query_figures::wait_p999_ms), of(&query_figures::wait_p50_ms));
    out["peak_rss_mib"] = of(&query_figures::peak_rss_mib);
    out["throughput_spread"] = json_of(spread_of(rounds, &query_figures::throughput_per_s));
    out["cpu_spread"] = json_of(spread_of(rounds, &query_figures::cpu_us_per_query));
    return out;
}

json::object json_of(const cell_figures& in) {
    json::object out;
    out["clients"] = in.of.clients;
    out["connections"] = in.of.connections;
    if (!in.baseline.empty()) {
        out["baseline"] = json_of(in.baseline);
    }
    if (!in.pool.empty()) {
        out["pool"] = json_of(in.pool);
    }
    if (!in.baseline.empty() && !in.pool.empty()) {
        json::object ratio;
        ratio["throughput"] = ratio_of(median_of(in.pool, &query_figures::throughput_per_s),
                                       median_of(in.baseline, &query_figures::throughput_per_s));
        ratio["cpu"] = ratio_of(median_of(in.pool, &query_figures::cpu_us_per_query),
                                median_of(in.baseline, &query_figures::cpu_us_per_query));
        out["ratio"] = std::move(ratio);
    }
    if (!in.handoff.empty()) {
        out["contended_ns"] = median_of(in.handoff, &handoff_figures::ns);
        out["contended_allocations"] = median_of(in.handoff, &handoff_figures::allocations);
    }
    return out;
}

json::object acquire_json(const bench_figures& measured) {
    json::object out;
    if (!measured.uncontended.empty()) {
        out["uncontended_ns"] = median_of(measured.uncontended, &uncontended_figures::ns);
        out["uncontended_allocations"] = median_of(measured.uncontended, &uncontended_figures::allocations);
        out["try_ns"] = median_of(measured.uncontended, &uncontended_figures::try_ns);
    }
    const auto* in = main_cell(measured);
    if (in != nullptr && !in->handoff.empty()) {
        out["contended_ns"] = median_of(in->handoff, &handoff_figures::ns);
        out["contended_allocations"] = median_of(in->handoff, &handoff_figures::allocations);
    }
    if (in != nullptr && !in->pool.empty()) {
        out["wait_p999_over_p50"] = ratio_of(median_of(in->pool, &query_figures::wait_p999_ms),
                                             median_of(in->pool, &query_figures::wait_p50_ms));
    }
    return out;
}

json::object parked_json(const bench_figures& measured) {
    const auto of = [&measured](double parked_figures::*figure) { return median_of(measured.parked, figure); };
    json::object out;
    out["waiters"] = measured.parked_waiters;
    out["rss_bytes_per_waiter"] = of(&parked_figures::rss_bytes_per_waiter);
    out["heap_bytes_per_waiter"] = of(&parked_figures::heap_bytes_per_waiter);
    out["seconds"] = of(&parked_figures::seconds);
    out["cpu_ms"] = of(&parked_figures::cpu_ms);
    out["context_switches"] = of(&parked_figures::context_switches);
    return out;
}

json::object machine_json(const bench_figures& measured) {
    json::object out;
    std::ifstream in{"/proc/cpuinfo"};
    for (std::string text; std::getline(in, text);) {
        if (text.starts_with("model name")) {
            out["cpu"] = text.substr(text.find(':') + 2);
            break;
        }
    }
    utsname system{};
    ::uname(&system);
    out["cores"] = std::thread::hardware_concurrency();
    out["kernel"] = system.release;
    out["compiler"] = __VERSION__;
    out["boost"] = BOOST_LIB_VERSION;
    out["libpq"] = PQlibVersion();
    out["server"] = measured.server;
#ifdef NDEBUG
    out["assertions"] = false;
#else
    out["assertions"] = true;
#endif
    return out;
}

}  // namespace

json::object json_of(const bench_figures& measured, const bench_options& options) {
    json::object out;
    if (const auto* in = main_cell(measured); in != nullptr) {
        for (auto& [key, value] : json_of(*in)) {
            if (!key.starts_with("contended")) {
                out[key] = value;
            }
        }
    }
    out["acquire"] = acquire_json(measured);
    if (!measured.parked.empty()) {
        out["parked"] = parked_json(measured);
    }
    json::array cells;
    for (const auto& in : measured.cells) {
        cells.push_back(json_of(in));
    }
    out["cells"] = std::move(cells);
    out["rounds"] = options.rounds;
    out["seconds"] = options.seconds;
    out["machine"] = machine_json(measured);
    return out;
}

}  // namespace trunkline::bench
