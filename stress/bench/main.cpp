#include "acquire_bench.hpp"
#include "closed_loop.hpp"
#include "epoll_loop.hpp"
#include "isolated.hpp"
#include "options.hpp"
#include "pool_loop.hpp"
#include "report.hpp"
#include "support/allocation_interposer.hpp"
#include "support/plain_libpq.hpp"
#include "support/postgres_server.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>

namespace {

using namespace trunkline;
using namespace trunkline::bench;

constexpr auto handoff_time = std::chrono::milliseconds{1'000};
constexpr auto parked_time = std::chrono::seconds{5};

/// A message of several lines in one.
std::string in_one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    return text;
}

/// A line that says what runs now.
void say(const std::string& what) { std::cerr << what << std::endl; }

std::string name_of(cell of) {
    return std::to_string(of.clients) + " clients on " + std::to_string(of.connections) + " connections";
}

void run_queries(const std::string& url, const bench_options& options, int round, cell_figures& into) {
    round_time time;
    time.measured = std::chrono::milliseconds{static_cast<std::int64_t>(options.seconds * 1e3)};
    const auto baseline = [&] {
        if (options.wants("query") || options.wants("baseline")) {
            into.baseline.push_back(run_isolated([&] { return run_epoll_loop(url, into.of, time); }));
        }
    };
    const auto pool = [&] {
        if (options.wants("query") || options.wants("pool")) {
            into.pool.push_back(run_isolated([&] { return run_pool_loop(url, into.of, time); }));
        }
    };
    // Who comes first alternates, so that what changes on the machine meanwhile hits both.
    if (round % 2 == 0) {
        baseline();
        pool();
    } else {
        pool();
        baseline();
    }
}

bench_figures measure(const std::string& url, const bench_options& options) {
    bench_figures measured;
    measured.server = test::scalar(url, "SHOW server_version");
    make_items(url);
    for (const auto clients : options.clients) {
        for (const auto connections : options.connections) {
            measured.cells.push_back({{clients, connections}, {}, {}, {}});
        }
    }
    const cell widest{*std::max_element(options.clients.begin(), options.clients.end()),
                      *std::max_element(options.connections.begin(), options.connections.end())};
    for (int round = 0; round < options.rounds; ++round) {
        const auto where = "round " + std::to_string(round + 1) + " of " + std::to_string(options.rounds) + ": ";
        for (auto& in : measured.cells) {
            if (options.wants_cells()) {
                say(where + name_of(in.of));
            }
            run_queries(url, options, round, in);
            if (options.wants("handoff")) {
                in.handoff.push_back(run_isolated([&] { return run_handoff(url, in.of, handoff_time); }));
            }
        }
        if (options.wants("acquire")) {
            measured.uncontended.push_back(run_isolated([&] { return run_uncontended(url, widest.connections); }));
        }
    }
    if (options.wants("parked")) {
        say("parked waiters");
        measured.parked_waiters = widest.clients;
        measured.parked.push_back(run_isolated([&] { return run_parked(url, widest, parked_time); }));
    }
    return measured;
}

void check_room(const std::string& url, std::size_t connections) {
    test::plain_connection session{url};
    const auto limit = session.count("SHOW max_connections");
    if (limit < connections + 5) {
        throw std::invalid_argument{"the server's max_connections is " + std::to_string(limit) + "; " +
                                    std::to_string(connections) + " connections need " +
                                    std::to_string(connections + 5)};
    }
}

int run(const bench_options& options) {
    const auto connections = *std::max_element(options.connections.begin(), options.connections.end());
    std::unique_ptr<test::postgres_server> server;
    std::string url = options.database_url;
    try {
        if (url.empty()) {
            server = std::make_unique<test::postgres_server>(
                test::postgres_options{.max_connections = connections + 20, .settings = {{"autovacuum", "off"}}});
            url = options.unix_socket ? server->socket_url() : server->url();
        }
        check_room(url, connections);
    } catch (const std::exception& failure) {
        std::cerr << "trunkline-bench: no server to measure with: " << in_one_line(failure.what())
                  << (options.database_url.empty() ? "" : " (check --database-url, or leave it out)") << '\n';
        return 2;
    }
    std::ofstream json;
    if (!options.json.empty()) {
        json.open(options.json);  // before minutes of work, not after
        if (!json) {
            std::cerr << "trunkline-bench: cannot write " << options.json
                      << ": give --json a file that can be written\n";
            return 2;
        }
    }
    const auto measured = measure(url, options);
    std::cout << table_of(measured, options);
    if (json.is_open()) {
        json << boost::json::serialize(json_of(measured, options)) << std::endl;
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    bench_options options;
    if (const auto code = read_options(count, arguments, options)) {
        return *code;
    }
    try {
        return run(options);
    } catch (const std::exception& failure) {
        std::cerr << "trunkline-bench: " << failure.what() << '\n';
        return 1;
    }
}
