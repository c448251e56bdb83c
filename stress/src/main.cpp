#include "csv_posts.hpp"
#include "json_text.hpp"
#include "numbers.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "runner.hpp"
#include "server_access.hpp"
#include "support/postgres_server.hpp"
#include "synthetic_posts.hpp"
#include "user_error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>

namespace {

using namespace trunkline::stress;

constexpr int exit_well = 0;
constexpr int exit_broken = 1;
constexpr int exit_bad_request = 2;
constexpr int exit_interrupted = 130;

/// Malformed records that are shown in full; all are counted.
constexpr std::uint64_t shown_malformed = 50;
/// Sessions beside the pool's: the watch, the superuser's reserve, autovacuum's eyes.
constexpr std::size_t spare_connections = 10;

std::unique_ptr<csv_posts> open_csv(const options& asked, progress& shown) {
    auto count = std::make_shared<std::uint64_t>(0);
    return std::make_unique<csv_posts>(*asked.posts, [count, &shown](const malformed_record& skipped) {
        ++*count;
        if (*count <= shown_malformed) {
            shown.say(skipped.file + ":" + std::to_string(skipped.line) + ": skipped: " + skipped.reason);
        } else if (*count == shown_malformed + 1) {
            shown.say("further malformed records are counted and not shown");
        }
    });
}

/// Opened before the run, so that an hour's work does not end in "no such directory".
std::optional<std::ofstream> open_json(const options& asked) {
    if (!asked.json) {
        return std::nullopt;
    }
    std::ofstream file{*asked.json};
    if (!file) {
        throw user_error("--json: '" + asked.json->string() + "' cannot be written (" + std::strerror(errno) +
                         "); give a file in a directory that is there and that you may write to");
    }
    return file;
}

std::unique_ptr<trunkline::test::postgres_server> start_server(const options& asked, progress& shown) {
    if (!asked.database_url.empty()) {
        check_url(asked.database_url);
        return nullptr;
    }
    shown.show(-1, "starting a throwaway PostgreSQL");
    try {
        trunkline::test::postgres_options wanted;
        wanted.max_connections = asked.connections + spare_connections;
        return std::make_unique<trunkline::test::postgres_server>(wanted);
    } catch (const std::exception& problem) {
        throw user_error(std::string{"no throwaway server: "} + problem.what() + "; or give --database-url");
    }
}

int exit_code_of(const report& made) {
    if (made.interrupted) {
        return exit_interrupted;
    }
    const bool capacity_found = made.asked.mode == run_mode::once || made.capacity_per_s() > 0;
    const bool held = made.asked.mode == run_mode::capacity ? capacity_found : made.verdict.passed;
    return held && made.sound() && made.run.ok() > 0 ? exit_well : exit_broken;
}

int run(const options& asked) {
    progress shown;
    auto csv = asked.posts ? open_csv(asked, shown) : nullptr;
    synthetic_posts synthetic{asked.seed, asked.synthetic};
    auto json = open_json(asked);
    const auto server = start_server(asked, shown);
    runner job{asked, server ? server->url() : asked.database_url, csv ? static_cast<post_source&>(*csv) : synthetic,
               shown};
    auto made = job.run();
    shown.end_line();
    made.load.malformed = csv ? csv->malformed() : 0;
    std::fputs(to_table(made).c_str(), stdout);
    if (json) {
        *json << to_text(to_json(made));
        json->close();
        if (!*json) {
            throw std::runtime_error("the report could not be written to " + asked.json->string());
        }
    }
    return exit_code_of(made);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto parsed = parse_options(argc, argv);
        if (!parsed.run) {
            std::fputs(parsed.text.c_str(), stdout);
            return exit_well;
        }
        return run(*parsed.run);
    } catch (const user_error& problem) {
        std::fprintf(stderr, "trunkline-stress: %s\n", problem.what());
        return exit_bad_request;
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "trunkline-stress: the run failed: %s\n", problem.what());
        return exit_broken;
    }
}
