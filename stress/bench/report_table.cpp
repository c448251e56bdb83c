#include "report.hpp"

#include <algorithm>
#include <cstdio>

namespace trunkline::bench {

namespace {

/// printf into a string; the lines here are short.
template <typename... Args>
std::string line(const char* format, Args... args) {
    char text[256];
    const int size = std::snprintf(text, sizeof(text), format, args...);
    return {text, std::min(static_cast<std::size_t>(std::max(size, 0)), sizeof(text) - 1)};
}

std::string query_line(const char* name, const std::vector<query_figures>& rounds) {
    const auto of = [&rounds](double query_figures::*figure) { return median_of(rounds, figure); };
    const auto throughput = spread_of(rounds, &query_figures::throughput_per_s);
    const auto cpu = spread_of(rounds, &query_figures::cpu_us_per_query);
    return line(
        "  %-12s %9.0f ±%2.0f%% %8.2f ±%2.0f%% %8.1f %8.1f %8.1f %9.2f %10.2f %8.1f\n", name, throughput.median,
        50 * ratio_of(throughput.highest - throughput.lowest, throughput.median), cpu.median,
        50 * ratio_of(cpu.highest - cpu.lowest, cpu.median), of(&query_figures::p50_ms), of(&query_figures::p99_ms),
        of(&query_figures::p999_ms), ratio_of(of(&query_figures::p999_ms), of(&query_figures::p50_ms)),
        ratio_of(of(&query_figures::wait_p999_ms), of(&query_figures::wait_p50_ms)), of(&query_figures::peak_rss_mib));
}

std::string query_lines(const cell_figures& in) {
    if (in.baseline.empty() && in.pool.empty()) {
        return {};
    }
    auto text = line("%zu clients on %zu connections\n", in.of.clients, in.of.connections);
    if (!in.baseline.empty()) {
        text += query_line("plain libpq", in.baseline);
    }
    if (!in.pool.empty()) {
        text += query_line("trunkline", in.pool);
    }
    if (!in.baseline.empty() && !in.pool.empty()) {
        text += line("  %-12s %9.3f      %8.3f\n", "ratio",
                     ratio_of(median_of(in.pool, &query_figures::throughput_per_s),
                              median_of(in.baseline, &query_figures::throughput_per_s)),
                     ratio_of(median_of(in.pool, &query_figures::cpu_us_per_query),
                              median_of(in.baseline, &query_figures::cpu_us_per_query)));
    }
    return text;
}

std::string acquire_lines(const bench_figures& measured) {
    std::string text;
    const auto row = [&text](const char* what, const spread& ns, double allocations) {
        text += line("  %-46s %8.1f (%.1f-%.1f) ns %8.3f allocations\n", what, ns.median, ns.lowest, ns.highest,
                     allocations);
    };
    if (!measured.uncontended.empty()) {
        row("co_await acquire(), release, uncontended", spread_of(measured.uncontended, &uncontended_figures::ns),
            median_of(measured.uncontended, &uncontended_figures::allocations));
        row("try_acquire(), release", spread_of(measured.uncontended, &uncontended_figures::try_ns),
            median_of(measured.uncontended, &uncontended_figures::allocations));
    }
    for (const auto& in : measured.cells) {
        if (!in.handoff.empty()) {
            row(line("hand-off, %zu waiting for %zu", in.of.clients, in.of.connections).c_str(),
                spread_of(in.handoff, &handoff_figures::ns), median_of(in.handoff, &handoff_figures::allocations));
        }
    }
    return text.empty() ? text : "acquire and release alone\n" + text;
}

std::string parked_lines(const bench_figures& measured) {
    if (measured.parked.empty()) {
        return {};
    }
    const auto of = [&measured](double parked_figures::*figure) { return median_of(measured.parked, figure); };
    return line("%zu parked waiters\n  %.0f bytes each (RSS), %.0f of them from malloc; in %.0f s: %.2f ms of CPU, "
                "%.0f context switches\n",
                measured.parked_waiters, of(&parked_figures::rss_bytes_per_waiter),
                of(&parked_figures::heap_bytes_per_waiter), of(&parked_figures::seconds), of(&parked_figures::cpu_ms),
                of(&parked_figures::context_switches));
}

}  // namespace

const cell_figures* main_cell(const bench_figures& measured) {
    for (const auto& in : measured.cells) {
        if (in.of == cell{10'000, 50}) {
            return &in;
        }
    }
    return measured.cells.empty() ? nullptr : &measured.cells.front();
}

std::string table_of(const bench_figures& measured, const bench_options& options) {
    auto text = line("\nPostgreSQL %s, one client thread; medians of %d interleaved rounds of %.1f s\n\n",
                     measured.server.c_str(), options.rounds, options.seconds);
    std::string queries;
    for (const auto& in : measured.cells) {
        queries += query_lines(in);
    }
    if (!queries.empty()) {
        text += line("  %-12s %14s %13s %8s %8s %8s %9s %10s %8s\n", "", "queries/s", "CPU us/query", "p50 ms",
                     "p99 ms", "p99.9 ms", "p99.9/p50", "wait ratio", "peak MiB");
        text += queries +
                "  ± is half of the distance between the lowest and the highest round; wait ratio is p99.9/p50 "
                "of the wait for a connection\n\n";
    }
    return text + acquire_lines(measured) + parked_lines(measured);
}

}  // namespace trunkline::bench
