#include "options.hpp"

#include "duration.hpp"
#include "user_error.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>

namespace trunkline::stress {

namespace {

constexpr std::string_view default_mix = "search=60,read=25,update=10,insert=5";
constexpr std::string_view default_capacity_slo = "p99<500ms,errors=0";
constexpr std::uint64_t max_clients = 1'000'000;
constexpr std::uint64_t max_connections = 10'000;
constexpr std::uint64_t max_threads = 256;
constexpr std::uint64_t max_synthetic = 5'000'000;
constexpr double max_rate = 1e6;

/// The flags as they were written; empty: not given.
struct raw_options {
    std::string posts, synthetic, database_url, clients, connections, threads, seed, duration, warm_up, think, rate,
        timeout, mix, slo, json, step;
};

std::uint64_t parse_count(std::string_view text, const std::string& what, std::uint64_t least, std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
        throw user_error(what + ": '" + std::string{text} + "' does not fit; give a whole number from " +
                         std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
}

double parse_rate(std::string_view text) {
    auto number = text;
    if (number.ends_with("/s")) {
        number.remove_suffix(2);
    }
    double value = 0;
    const auto [end, problem] =
        std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
    if (problem != std::errc{} || end != number.data() + number.size() || !std::isfinite(value) || value <= 0 ||
        value > max_rate) {
        throw user_error("--rate: '" + std::string{text} +
                         "' does not fit; give operations per second, more than 0 and at most 1000000");
    }
    return value;
}

std::chrono::nanoseconds parse_positive(const std::string& text, const std::string& what,
                                        std::chrono::nanoseconds least) {
    const auto value = parse_duration(text, what);
    if (value < least) {
        throw user_error(what + ": '" + text + "' is too short; give " + format_duration(least) + " or more");
    }
    return value;
}

void add_flags(CLI::App& app, raw_options& raw) {
    app.add_option("--posts", raw.posts, "Directory of CSV files of posts, one a subreddit")->type_name("DIR");
    app.add_option("--synthetic", raw.synthetic, "Without --posts: so many made-up posts (20000)")->type_name("N");
    app.add_option(
           "--database-url", raw.database_url,
           "Use this server instead of a throwaway one; works in a schema of its own, trunkline_stress, which it "
           "drops at the start and at the end, and touches nothing else")
        ->type_name("URL");
    app.add_option("--clients", raw.clients, "Logical clients (10000)")->type_name("N");
    app.add_option("--connections", raw.connections, "Connections that they share (50)")->type_name("N");
    app.add_option("--threads", raw.threads, "Threads that run them (1)")->type_name("N");
    app.add_option("--duration", raw.duration, "How long to measure (60s)")->type_name("D");
    app.add_option("--warm-up", raw.warm_up, "How long to run before measuring (2s)")->type_name("D");
    app.add_option("--think", raw.think, "Closed loop: each client's pause between operations, on average (0s)")
        ->type_name("D");
    app.add_option("--rate", raw.rate, "Open loop: operations per second, whatever the server does")->type_name("R");
    app.add_option("--timeout", raw.timeout, "Longest wait for a connection (30s)")->type_name("D");
    app.add_option("--mix", raw.mix, "Weights of the operations (" + std::string{default_mix} + ")")->type_name("M");
    app.add_option(
           "--slo", raw.slo,
           "What must hold, or the exit code is 1: p99<500ms,errors=0; of p50 p90 p99 p999 max errors lost throughput")
        ->type_name("S");
    app.add_option("--json", raw.json, "Write the report here as JSON too")->type_name("FILE");
    app.add_option("--seed", raw.seed, "Seed of everything random (1)")->type_name("N");
    app.add_option("--step", raw.step, "capacity: how long each rate is held (10s)")->type_name("D");
}

void refuse_contradictions(const raw_options& raw, run_mode mode) {
    if (!raw.think.empty() && !raw.rate.empty()) {
        throw user_error(
            "--think and --rate exclude each other; --think is for a closed loop, --rate for an open one: give one");
    }
    if (!raw.posts.empty() && !raw.synthetic.empty()) {
        throw user_error("--posts and --synthetic exclude each other; give one");
    }
    if (mode == run_mode::capacity && !raw.think.empty()) {
        throw user_error("capacity raises the rate of an open loop, so --think has no meaning there; leave it out");
    }
    if (mode == run_mode::capacity && !raw.duration.empty()) {
        throw user_error(
            "capacity holds each rate for --step, so --duration has no meaning there; give --step instead");
    }
    if (mode == run_mode::once && !raw.step.empty()) {
        throw user_error("--step is for the capacity command; give --duration instead");
    }
}

options interpret(const raw_options& raw, run_mode mode) {
    using namespace std::chrono_literals;
    refuse_contradictions(raw, mode);
    options made;
    made.mode = mode;
    made.database_url = raw.database_url;
    const auto count = [](const std::string& text, const char* what, std::uint64_t least, std::uint64_t most,
                          auto& into) {
        if (!text.empty()) {
            into = static_cast<std::remove_reference_t<decltype(into)>>(parse_count(text, what, least, most));
        }
    };
    count(raw.clients, "--clients", 1, max_clients, made.clients);
    count(raw.connections, "--connections", 1, max_connections, made.connections);
    count(raw.threads, "--threads", 1, max_threads, made.threads);
    count(raw.synthetic, "--synthetic", 1, max_synthetic, made.synthetic);
    count(raw.seed, "--seed", 0, ~std::uint64_t{0}, made.seed);
    const auto time = [](const std::string& text, const char* what, std::chrono::nanoseconds least, auto& into) {
        if (!text.empty()) {
            into =
                std::chrono::duration_cast<std::remove_reference_t<decltype(into)>>(parse_positive(text, what, least));
        }
    };
    time(raw.duration, "--duration", 100ms, made.duration);
    time(raw.warm_up, "--warm-up", 0ms, made.warm_up);
    time(raw.think, "--think", 0ms, made.think);
    time(raw.timeout, "--timeout", 1ms, made.acquire_timeout);
    time(raw.step, "--step", 1s, made.step);
    made.operations = parse_mix(raw.mix.empty() ? default_mix : std::string_view{raw.mix});
    if (!raw.rate.empty()) {
        made.rate = parse_rate(raw.rate);
    }
    if (!raw.slo.empty()) {
        made.wanted = parse_slo(raw.slo);
    } else if (mode == run_mode::capacity) {
        made.wanted = parse_slo(default_capacity_slo);
    }
    if (!raw.posts.empty()) {
        made.posts = raw.posts;
    }
    if (!raw.json.empty()) {
        made.json = raw.json;
    }
    return made;
}

/// An empty value would look like a flag that was not given.
void refuse_empty_values(const CLI::App& app) {
    for (const auto* option : app.get_options()) {
        for (const auto& value : option->results()) {
            if (value.empty()) {
                throw user_error(option->get_name() + " needs a value; --help says which");
            }
        }
    }
}

}  // namespace

parsed_options parse_options(int argc, const char* const* argv) {
    CLI::App app{"Loads posts into PostgreSQL, lets many clients search, read and write them through one pool, and "
                 "says how it went."};
    app.name("trunkline-stress");
    app.footer("Durations have a unit: 500ms, 10s, 5m. Exit codes: 0 all well; 1 the SLO is broken, writes are lost, "
               "or the run "
               "failed; 2 the request cannot be carried out; 130 interrupted.");
    raw_options raw;
    add_flags(app, raw);
    auto* capacity = app.add_subcommand(
        "capacity", "Raise the rate until the SLO breaks (default: " + std::string{default_capacity_slo} +
                        "), report the highest that held");
    capacity->fallthrough();
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return {std::nullopt, app.help()};
    } catch (const CLI::ExtrasError&) {
        const auto left = app.remaining(true);
        const auto first = left.empty() ? std::string{} : left.front();
        throw user_error((first.starts_with('-') ? "unknown flag " : "unexpected argument ") + first +
                         "; trunkline-stress --help lists what there is");
    } catch (const CLI::ParseError& problem) {
        throw user_error(std::string{problem.what()} + "; trunkline-stress --help shows how to write it");
    }
    refuse_empty_values(app);
    return {interpret(raw, capacity->parsed() ? run_mode::capacity : run_mode::once), {}};
}

}  // namespace trunkline::stress
