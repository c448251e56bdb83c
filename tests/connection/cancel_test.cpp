#include "mending_fixture.hpp"
#include "support/catch.hpp"

#include <cstdlib>
#include <random>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;

std::size_t loops() {
    const char* const asked = std::getenv("TRUNKLINE_CANCEL_LOOPS");
    return asked != nullptr ? std::stoul(asked) : 2'000;
}

struct tally {
    std::size_t stray = 0;  // 57014 that hit the next statement
    std::size_t lost = 0;
    std::size_t other = 0;
    std::size_t kept = 0;
};

/// Cancels at a random moment, then asks something else, again and again.
awaitable<void> cancel_often(std::string url, std::shared_ptr<pg::session_policy> policy, std::size_t times,
                             unsigned seed, tally& count) {
    const auto executor = co_await boost::asio::this_coro::executor;
    std::mt19937 dice{seed};
    pg::session::events to;
    to.policy = policy;
    auto on = std::make_unique<lone_connection>(open_session(executor, url, to));
    for (std::size_t i = 0; i < times; ++i) {
        const std::chrono::microseconds patience{std::uniform_int_distribution<int>{0, 3'000}(dice)};
        const std::string sql =
            dice() % 2 == 0 ? "SELECT pg_sleep(0.002)" : "SELECT count(*) FROM generate_series(1, 5000)";
        const auto outcome = co_await run_and_cancel(*on, sql, patience);
        if (outcome && outcome != boost::asio::error::operation_aborted) {
            ++count.other;
        }
        error_code next;
        try {
            const result got = co_await on->query("SELECT 1 FROM pg_sleep(0.0005)");
            count.other += got.size() == 1 ? 0 : 1;
        } catch (const error& failed) {
            next = failed.code();
        }
        count.stray += next == sqlstate::query_canceled ? 1 : 0;
        count.kept += !next ? 1 : 0;
        if (next) {
            ++count.lost;
            on->session().close(pool_errc::closed, [] {});
            on = std::make_unique<lone_connection>(open_session(executor, url, to));
        }
    }
    on->session().close(pool_errc::closed, [] {});
}

TEST_CASE("TO-6: after a cancellation at any moment the next statement is never hit, and the connection is kept") {
    boost::asio::io_context context;
    const auto policy = std::make_shared<pg::session_policy>();
    constexpr std::size_t sessions = 4;
    std::vector<tally> counts(sessions);
    const auto whole = [&]() -> awaitable<void> {
        const auto executor = co_await boost::asio::this_coro::executor;
        for (std::size_t i = 0; i < sessions; ++i) {
            boost::asio::co_spawn(
                executor, cancel_often(server().url(), policy, loops() / sessions, static_cast<unsigned>(i), counts[i]),
                [](std::exception_ptr failed) { CHECK_FALSE(failed); });
        }
    };
    run(context, whole);
    tally all;
    for (const auto& one : counts) {
        all.stray += one.stray;
        all.other += one.other;
        all.kept += one.kept;
        all.lost += one.lost;
    }
    INFO("kept " << all.kept << ", lost " << all.lost << ", cancels " << policy->cancels << ", unproven "
                 << policy->cancels_unproven << ", refused " << policy->cancels_refused);
    CHECK(all.stray == 0);
    CHECK(all.other == 0);
    CHECK(all.kept * 100 >= loops() * 95);
    CHECK(policy->cancels > 0);
    CHECK(policy->cancels >= policy->cancels_proven + policy->cancels_unproven);
}

TEST_CASE("TO-5: a cancelled statement ends on the server, and its connection goes on") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const int pid = on.backend_pid();
            const auto outcome = co_await run_and_cancel(on, "SELECT pg_sleep(60)", 50ms);
            CHECK(outcome == boost::asio::error::operation_aborted);
            CHECK(on.session().state() == pg::session_state::busy);
            const auto after = co_await settled(on);
            CHECK(after == pg::session_state::clean);
            CHECK(scalar(server().url(), "SELECT state FROM pg_stat_activity WHERE pid = " + std::to_string(pid)) ==
                  "idle");
            const result same = co_await on.query("SELECT pg_backend_pid()");
            CHECK(same[0].get<int>(0) == pid);
        },
        server().url(), of.events());
    CHECK(of.lost == 0);
    CHECK(of.policy->cancels == 1);
    CHECK(of.policy->cancels_proven == 1);
}

TEST_CASE("TO-5: a statement that follows waits until the cancelled one is over, a second one is refused") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", 50ms);
        waiting_operation first;
        waiting_operation second;
        first.sql = second.sql = "SELECT 1";
        on.session().start(first);
        on.session().start(second);
        co_await first.outcome();
        co_await second.outcome();
        CHECK_FALSE(first.code);
        CHECK(second.code == pool_errc::operation_in_progress);
    });
}

TEST_CASE("TO-5: cancelled inside a transaction, the session says so") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("BEGIN");
        (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", 50ms);
        const auto after = co_await settled(on);
        CHECK(after == pg::session_state::in_transaction);
        const bool clean = co_await give_back(on);
        CHECK(clean);
    });
}

TEST_CASE("TO-7: a lease that ends while its cancelled statement still runs waits for the same proof") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", 50ms);
            CHECK(on.session().end_use() == pg::left::unclean);
            const bool clean = co_await give_back(on);
            CHECK(clean);
            CHECK(of.policy->cancels_proven == 1);
            const result got = co_await on.query("SELECT 1");
            CHECK(got.size() == 1);
        },
        server().url(), of.events());
}

TEST_CASE("TO-7: a lease that ends with a statement under way stops it, and tells its owner") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            error_code outcome;
            const auto executor = co_await boost::asio::this_coro::executor;
            const auto body = [&]() -> awaitable<void> {
                const error failed = co_await error_of(on.query("SELECT pg_sleep(60)"));
                outcome = failed.code();
            };
            boost::asio::co_spawn(executor, body(), [](std::exception_ptr failed) { CHECK_FALSE(failed); });
            co_await pause_for(50ms);
            const bool clean = co_await give_back(on);
            CHECK(clean);
            CHECK(outcome == pool_errc::lease_released);
        },
        server().url(), of.events());
    CHECK(of.lost == 0);
}

TEST_CASE("TO-5: a cancelled statement that does not end in time costs the connection") {
    owner of;
    of.policy->cancel_timeout = 200;
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), server().url(), of.events())};
    const auto body = [&]() -> awaitable<void> {
        server().pause();
        (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", 1ms);
        const error behind = co_await error_of(on.query("SELECT 1"));
        CHECK(behind.code() == errc::connection_lost);
        server().resume();
        on.session().close(pool_errc::closed, [] {});
    };
    run(context, body);
    CHECK(of.lost == 1);
    CHECK(of.policy->cancels_unproven == 1);
}

TEST_CASE("TO-8: a session that is closed stops its statement, whatever the share of cancellations") {
    owner of;
    of.policy->cancels = 1'000;
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), server().url(), of.events())};
    const auto pid = on.backend_pid();
    waiting_operation what;
    what.sql = "SELECT pg_sleep(60)";
    const auto body = [&]() -> awaitable<void> {
        on.session().start(what);
        const auto runs = [&] { return waits_for(pid, "PgSleep"); };
        CHECK(runs());
        on.session().close(pool_errc::closed, [] {});
        co_await what.outcome();
    };
    run(context, body);
    CHECK(what.code == pool_errc::closed);
    CHECK(session_gone(pid));
    CHECK(of.policy->cancels == 1'001);
    CHECK(of.policy->cancels_refused == 0);
}

TEST_CASE("TO-8: beyond its share of cancellations a pool closes connections instead") {
    owner of;
    of.policy->cancels = 1'000;
    int pid = 0;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", 20ms);
            CHECK(on.session().state() == pg::session_state::broken);
            CHECK(on.session().end_use() == pg::left::broken);
            pid = on.backend_pid();
        },
        server().url(), of.events());
    CHECK(session_gone(pid));  // closed, it is stopped all the same
    CHECK(of.policy->cancels_refused == 1);
    CHECK(of.lost == 0);
}

TEST_CASE(
    "TO-12: an execution context may be destroyed while a session is being mended, and nothing is left of either") {
    constexpr int rounds = 20;
    std::vector<int> backends;
    int alive = 0;
    int ended = 0;
    for (int i = 0; i < rounds; ++i) {
        boost::asio::io_context context;
        lone_connection on{open_session(context.get_executor(), server().url())};
        backends.push_back(on.backend_pid());
        const auto body = [&]() -> awaitable<void> {
            const std::shared_ptr<void> frame{&++alive, [&](int*) { --alive; }};
            (void)co_await run_and_cancel(on, "SELECT pg_sleep(1)", 1ms);
            (void)co_await on.query("SELECT 1");
        };
        boost::asio::co_spawn(context, body(), [&](std::exception_ptr failed) {
            ++ended;
            CHECK_FALSE(failed);
        });
        context.run_for(std::chrono::milliseconds{i});
    }
    CHECK(alive == 0);
    CHECK(ended <= rounds);
    for (const int backend : backends) {  // the longest sleeps for its second: it was not yet cancelled
        CHECK(session_gone(backend));
    }
}

}  // namespace
