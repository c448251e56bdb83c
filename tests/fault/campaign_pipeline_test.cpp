#include "../integration/waiting.hpp"
#include "campaign.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <trunkline/pipeline.hpp>

#include <boost/asio.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

// Sessions that end amid pipelines, and what a table of the server's says of their statements.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr int statements = 600;  // more than are under way at a time

/// What the outcomes say of statements that the table contradicts.
std::size_t lies(const std::vector<statement_outcome>& outcomes, const std::set<int>& kept, bool atomic) {
    std::size_t wrong = 0;
    const auto note = [&](int number, const char* what) {
        ++wrong;
        WARN("statement " << number << " with " << outcomes[static_cast<std::size_t>(number)].code.message() << ", "
                          << outcomes[static_cast<std::size_t>(number)].said.message << ","
                          << (atomic ? " of an atomic one " : " ") << what);
    };
    for (int i = 0; i < statements; ++i) {
        const auto& one = outcomes[static_cast<std::size_t>(i)];
        const bool is_kept = kept.contains(i);
        const bool succeeded = one.how == delivery::answered && !one.code;
        if (succeeded && !is_kept) {
            note(i, "succeeded and is not there");
        } else if (one.how == delivery::not_sent && is_kept) {
            note(i, "was not sent and is there");
        } else if (one.how == delivery::answered && one.code && is_kept) {
            note(i, "failed and is there");
        }
    }
    return wrong;
}

/// Gives in `killed` when the server had been told.
asio::awaitable<void> kill_later(plain_connection& observer, int pid, std::chrono::milliseconds after,
                                 std::optional<steady_clock::time_point>& killed) {
    co_await pause(after);
    observer.execute("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    killed = steady_clock::now();
}

}  // namespace

TEST_CASE("PI-3: a session that is killed amid a pipeline ends every statement, and says rightly which may have run") {
    const int rounds = campaign::scaled(1'000, 20);
    asio::io_context context;
    pool pool{context.get_executor(), settings_on(fixture::server(), "killed_pipeline", {.min = 0, .max = 1})};
    plain_connection observer{fixture::server().url()};
    observer.execute("DROP TABLE IF EXISTS pipelined; CREATE TABLE pipelined (round int, number int)");
    std::size_t wrong = 0;
    std::size_t answered = 0;
    std::size_t unknown = 0;
    std::size_t not_sent = 0;
    std::size_t whole = 0;
    campaign::sample settling;  // from the kill until the pipeline had ended
    std::optional<steady_clock::time_point> killed;
    std::mt19937 dice{17};
    run(context, [&]() -> asio::awaitable<void> {
        for (int round = 0; round < rounds; ++round) {
            const bool atomic = round % 2 == 1;
            pipeline all;
            for (int i = 0; i < statements; ++i) {
                all.add("INSERT INTO pipelined VALUES ($1, $2)", round, i);
            }
            auto held = co_await pool.acquire();
            const std::chrono::milliseconds after{std::uniform_int_distribution<int>{0, 30}(dice)};
            killed.reset();
            asio::co_spawn(context, kill_later(observer, held->backend_pid(), after, killed), asio::detached);
            const auto outcomes = co_await held->try_run(all, {.atomic = atomic});
            const auto settled = steady_clock::now();
            held.discard();
            const auto ended = [&] { return killed && sessions_of(observer, "killed_pipeline") == 0; };
            const bool in_time = co_await reached(ended);
            CHECK(in_time);
            if (!killed) {
                break;
            }
            if (settled > *killed) {
                settling.add(settled - *killed);
            }
            std::set<int> kept;
            for (const auto& row :
                 observer.execute("SELECT number FROM pipelined WHERE round = " + std::to_string(round))) {
                kept.insert(std::stoi(row[0]));
            }
            wrong += lies(outcomes, kept, atomic);
            wrong += atomic && !kept.empty() && kept.size() != statements ? 1 : 0;
            whole += std::ranges::all_of(outcomes, [](const auto& one) { return !one.code; }) ? 1 : 0;
            for (const auto& one : outcomes) {
                ++(one.how == delivery::answered ? answered : one.how == delivery::unknown ? unknown : not_sent);
            }
        }
        co_await pool.close(1s);
    });
    WARN(rounds << " pipelines of " << statements << ": " << answered << " statements answered, " << unknown
                << " unknown, " << not_sent << " not sent; " << whole << " were quicker than the kill");
    CHECK(wrong == 0);
    if (settling.size() > 0) {
        WARN("those that were not ended after " << settling);
        CHECK(settling.quantile(0.99) <= (campaign::full() ? 100ms : 10'000ms));
    }
    if (campaign::full()) {
        CHECK(answered > 0);
        CHECK(unknown > 0);
        CHECK(not_sent > 0);
        CHECK(settling.size() > 0);
    }
}
