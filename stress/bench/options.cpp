#include "options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace trunkline::bench {

bool bench_options::wants(const std::string& part) const {
    return only.empty() || std::find(only.begin(), only.end(), part) != only.end();
}

std::optional<int> read_options(int count, char** arguments, bench_options& into) {
    CLI::App app{"Compares the pool with a plain libpq loop on epoll, and measures acquire and release alone.",
                 "trunkline-bench"};
    app.add_option("--database-url", into.database_url,
                   "use this server (a table `items` is made there); default: a throwaway one");
    app.add_flag("--unix-socket", into.unix_socket, "reach the throwaway server by its UNIX socket, not by TCP");
    app.add_option("--rounds", into.rounds, "rounds of each measurement; the median counts")
        ->check(CLI::Range(1, 1'000))
        ->capture_default_str();
    app.add_option("--seconds", into.seconds, "measured in each round, for each side")
        ->check(CLI::Range(0.1, 3'600.0))
        ->capture_default_str();
    app.add_option("--clients", into.clients, "numbers of logical clients")
        ->delimiter(',')
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--connections", into.connections, "numbers of connections that they share")
        ->delimiter(',')
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--only", into.only,
                   "some parts: query (or one side of it: baseline, pool), acquire, handoff, parked")
        ->delimiter(',')
        ->check(CLI::IsMember({"query", "baseline", "pool", "acquire", "handoff", "parked"}));
    app.add_option("--json", into.json, "write the figures to this file");
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& wrong) {
        return app.exit(wrong) == 0 ? 0 : 2;
    }
    return std::nullopt;
}

}  // namespace trunkline::bench
