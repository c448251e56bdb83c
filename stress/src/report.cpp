#include "report.hpp"

#include "duration.hpp"
#include "numbers.hpp"

#include <algorithm>
#include <array>

namespace trunkline::stress {

namespace {

constexpr std::size_t label_width = 14;
constexpr std::size_t column_width = 11;

std::string right(const std::string& text) {
    return std::string(text.size() < column_width ? column_width - text.size() : 1, ' ') + text;
}

std::string label(std::string_view text) {
    return std::string{text} + std::string(text.size() < label_width ? label_width - text.size() : 1, ' ');
}

std::string quantile_columns(const histogram_snapshot& from) {
    std::string columns;
    for (const double q : {0.5, 0.9, 0.99, 0.999}) {
        columns += right(short_time(from.quantile(q)));
    }
    return columns + right(short_time(from.longest)) + "\n";
}

std::string latency_table(const report& from) {
    std::string table = label("");
    for (const auto* head : {"ok", "failed", "p50", "p90", "p99", "p99.9", "max"}) {
        table += right(head);
    }
    table += "\n";
    for (const auto which : all_operations) {
        if (from.asked.operations.has(which)) {
            const auto& tally = from.run.tallies[index_of(which)];
            table += label(name_of(which)) + right(with_commas(tally.ok)) + right(with_commas(tally.failed)) +
                     quantile_columns(from.run.latency_by_kind[index_of(which)]);
        }
    }
    table += label("all") + right(with_commas(from.run.ok())) + right(with_commas(from.run.failed())) +
             quantile_columns(from.run.latency);
    table += label("acquire wait") + std::string(2 * column_width, ' ') + quantile_columns(from.run.acquire_wait);
    return table;
}

std::string load_line(const report& from) {
    return label("posts") + with_commas(from.load.loaded) + " loaded in " + short_time(from.load.elapsed) + ", " +
           with_commas(from.load.malformed) + " malformed, " + with_commas(from.load.duplicates) + " duplicates\n";
}

std::string loop_line(const report& from) {
    const auto& asked = from.asked;
    auto line = label("clients") + with_commas(asked.clients) + " on " + with_commas(asked.connections) +
                " connections, " + to_string(asked.operations) + ", ";
    if (asked.mode == run_mode::capacity) {
        return line + "open loop\n";
    }
    if (asked.rate) {
        return line + "open loop at " + decimal(*asked.rate, 0) + "/s\n";
    }
    return line + "closed loop, think " + format_duration(asked.think) + "\n";
}

std::string process_lines(const report& from) {
    const auto operations = static_cast<double>(std::max<std::uint64_t>(from.run.ok() + from.run.failed(), 1));
    const double cpu_us = std::chrono::duration<double, std::micro>(from.run.cpu).count() / operations;
    std::string lines =
        label("throughput") + decimal(from.run.throughput_per_s(), 1) + "/s over " + short_time(from.run.elapsed);
    lines += from.run.missed > 0 ? ", " + with_commas(from.run.missed) + " due and not begun by the end\n" : "\n";
    lines += label("client") + decimal(cpu_us, 1) + " us CPU an operation, " + decimal(from.client_peak_rss_mib, 1) +
             " MiB at most\n";
    lines += label("server") + "at most " + with_commas(from.server_connections_max) +
             " sessions of the pool at once, limit " + with_commas(from.asked.connections) + " (looked " +
             with_commas(from.server_looks) + " times)\n";
    return lines;
}

std::string pool_lines(const pool_stats& pool) {
    return label("pool") + with_commas(pool.acquires) + " acquires, " + with_commas(pool.immediate) + " at once, " +
           with_commas(pool.granted) + " after a wait, " + with_commas(pool.timed_out) + " timed out; " +
           with_commas(pool.opened) + " connections opened, " + with_commas(pool.dials_failed) + " dials failed, " +
           with_commas(pool.lost) + " lost\n";
}

std::string write_line(const write_counts& writes) {
    auto line = label("writes") + with_commas(writes.acknowledged) + " acknowledged, " + with_commas(writes.found) +
                " found, " + with_commas(writes.lost) + " lost";
    line += writes.unknown > 0 ? ", " + with_commas(writes.unknown) + " of unknown outcome" : "";
    line += writes.unexpected > 0 ? ", " + with_commas(writes.unexpected) + " carried out more often than asked" : "";
    return line + "\n";
}

std::string failure_lines(const measurements& run) {
    std::string lines;
    for (const auto& [kind, failures] : run.failures) {
        lines += label("failed") + with_commas(failures.count) + " x " + kind + "; the first: " + failures.first + "\n";
    }
    return lines;
}

std::string slo_lines(const report& from) {
    if (!from.asked.wanted) {
        return {};
    }
    auto lines = label("slo") + from.asked.wanted->expression + (from.verdict.passed ? ": held\n" : ": BROKEN\n");
    for (const auto& each : from.verdict.broken) {
        lines += label("") + each + "\n";
    }
    return lines;
}

std::string capacity_lines(const report& from) {
    std::string lines;
    for (const auto& step : from.steps) {
        lines += label("step") + right(decimal(step.rate_per_s, 0) + "/s") + right(decimal(step.p99_ms, 1) + " ms") +
                 right(with_commas(step.failed)) + " failed  " + (step.held ? "held\n" : "broken\n");
    }
    if (from.asked.mode == run_mode::capacity) {
        lines += label("capacity") +
                 (from.capacity_per_s() > 0 ? decimal(from.capacity_per_s(), 0) + "/s held" : "no rate held") +
                 "; the figures above are of " + (from.capacity_per_s() > 0 ? "that rate\n" : "the last rate tried\n");
    }
    return lines;
}

}  // namespace

double report::capacity_per_s() const {
    double highest = 0;
    for (const auto& step : steps) {
        highest = step.held ? std::max(highest, step.rate_per_s) : highest;
    }
    return highest;
}

bool report::sound() const {
    return writes.lost == 0 && writes.unexpected == 0 && server_connections_max <= asked.connections;
}

slo_values values_of(const measurements& run, const write_counts& writes) {
    return {.p50_ms = to_milliseconds(run.latency.quantile(0.5)),
            .p90_ms = to_milliseconds(run.latency.quantile(0.9)),
            .p99_ms = to_milliseconds(run.latency.quantile(0.99)),
            .p999_ms = to_milliseconds(run.latency.quantile(0.999)),
            .max_ms = to_milliseconds(run.latency.longest),
            .throughput_per_s = run.throughput_per_s(),
            .errors = run.failed(),
            .lost = writes.lost,
            .operations = run.latency.count};
}

std::string to_table(const report& from) {
    return load_line(from) + loop_line(from) + latency_table(from) + process_lines(from) + pool_lines(from.pool) +
           write_line(from.writes) + failure_lines(from.run) + capacity_lines(from) + slo_lines(from);
}

}  // namespace trunkline::stress
