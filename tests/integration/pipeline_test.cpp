#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <trunkline/pipeline.hpp>

#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <string>
#include <vector>

// Pipelines, against the server that there is.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

void run_on(const pool_settings& settings, auto body) {
    asio::io_context context;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        {
            auto held = co_await pool.acquire();
            co_await body(*held);
        }
        co_await pool.close(1s);
    });
    CHECK(pool.stats().lost == 0);
    CHECK(pool.stats().discarded == 0);
}

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 1});
}

std::size_t count(const std::vector<statement_outcome>& all, auto matches) {
    return static_cast<std::size_t>(std::ranges::count_if(all, matches));
}

bool is_answered(const statement_outcome& one) { return one.how == delivery::answered; }
bool has_failed(const statement_outcome& one) { return one.code.failed(); }

}  // namespace

TEST_CASE("PI-1: a pipeline gives each statement's result, in order, and none of a later one's") {
    const auto timeout = GENERATE(0ms, 60'000ms);  // with one, the pipeline stands behind the setting of it
    const bool atomic = GENERATE(false, true);
    run_on(settings_for("pipeline"), [=](connection& c) -> asio::awaitable<void> {
        pipeline all;
        for (int i = 0; i < 1'000; ++i) {  // more than are under way at a time
            all.add("SELECT $1::int4, $2", i, "text " + std::to_string(i));
        }
        all.add("");
        const auto results = co_await c.run(all, {.atomic = atomic, .timeout = timeout});
        CHECK(results.size() == 1'001);
        std::size_t wrong = 0;
        for (int i = 0; i < 1'000; ++i) {
            const auto& one = results[static_cast<std::size_t>(i)];
            wrong +=
                one.size() == 1 && one[0].get<int>(0) == i && one[0].get<std::string>(1) == "text " + std::to_string(i)
                    ? 0
                    : 1;
        }
        CHECK(wrong == 0);
        const auto next = co_await c.query("SELECT 'next'");
        CHECK(next[0].get<std::string>(0) == "next");
        const pipeline none;
        const auto nothing = co_await c.run(none);
        CHECK(nothing.empty());
    });
}

TEST_CASE("PI-1: an error in the fiftieth statement fails the fiftieth alone") {
    run_on(settings_for("pipeline_error"), [](connection& c) -> asio::awaitable<void> {
        co_await c.execute("CREATE TEMP TABLE kept (a int)");
        pipeline all;
        for (int i = 1; i <= 100; ++i) {
            all.add(i == 50 ? "INSERT INTO kept SELECT 1 / ($1 - 50)" : "INSERT INTO kept VALUES ($1)", i);
        }
        const auto outcomes = co_await c.try_run(all);
        CHECK(count(outcomes, is_answered) == 100);
        CHECK(count(outcomes, has_failed) == 1);
        CHECK(outcomes[49].code == error_code{sqlstate_value("22012"), sqlstate_category()});
        CHECK(outcomes[49].said.message == "division by zero");
        CHECK_THROWS_AS(outcomes[49].value(), error);
        CHECK(outcomes[48].value().rows_affected() == 1);
        auto kept = co_await c.query("SELECT count(*) FROM kept");
        CHECK(kept[0].get<int>(0) == 99);

        std::size_t number = 0;
        std::string words;
        try {
            co_await c.run(all);
        } catch (const pipeline_error& failed) {
            number = failed.number();
            words = failed.what();
            CHECK(failed.outcomes().size() == 100);
        }
        CHECK(number == 49);
        CHECK(words.find("statement 50 of 100, INSERT INTO kept SELECT") != std::string::npos);
        CHECK(words.find("division by zero") != std::string::npos);
        kept = co_await c.query("SELECT count(*) FROM kept");
        CHECK(kept[0].get<int>(0) == 198);
    });
}

TEST_CASE("PI-1: an atomic pipeline happens as a whole or not at all") {
    run_on(settings_for("pipeline_atomic"), [](connection& c) -> asio::awaitable<void> {
        co_await c.execute("CREATE TEMP TABLE kept (a int)");
        for (const int wrong : {1, 300, 600, 700}) {  // more statements than are under way at a time; none is the 700th
            pipeline all;
            for (int i = 1; i <= 600; ++i) {
                all.add(i == wrong ? "INSERT INTO kept SELECT 1 / ($1 - $1)" : "INSERT INTO kept VALUES ($1)", i);
            }
            const auto outcomes = co_await c.try_run(all, {.atomic = true});
            const auto kept = co_await c.query("SELECT count(*) FROM kept");
            CHECK(count(outcomes, is_answered) == 600);
            CHECK(kept[0].get<int>(0) == (wrong > 600 ? 600 : 0));
            const auto aborted = count(outcomes, [](const auto& o) { return o.code == pool_errc::pipeline_aborted; });
            CHECK(aborted == (wrong > 600 ? 0 : 599));
            CHECK(count(outcomes, has_failed) == (wrong > 600 ? 0 : 600));
            co_await c.execute("DELETE FROM kept");
            if (wrong <= 600) {
                std::size_t number = 0;
                try {
                    co_await c.run(all, {.atomic = true});
                } catch (const pipeline_error& failed) {
                    number = failed.number() + 1;
                }
                CHECK(number == static_cast<std::size_t>(wrong));
            }
        }
    });
}

TEST_CASE("PI-1: a constraint that is checked at the commit fails the statement that it concerns, and no other") {
    run_on(settings_for("pipeline_deferred"), [](connection& c) -> asio::awaitable<void> {
        co_await c.execute("CREATE TEMP TABLE parent (a int PRIMARY KEY)");
        co_await c.execute("CREATE TEMP TABLE child (a int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
        co_await c.execute("INSERT INTO parent VALUES (1)");
        const error_code violation = sqlstate::foreign_key_violation;
        for (const std::size_t wrong : {std::size_t{0}, std::size_t{2}, std::size_t{4}}) {
            for (const bool atomic : {false, true}) {
                pipeline all;
                for (std::size_t i = 0; i < 5; ++i) {
                    all.add("INSERT INTO child VALUES ($1)", i == wrong ? 7 : 1);
                }
                const auto outcomes = co_await c.try_run(all, {.atomic = atomic});
                const auto kept = co_await c.query("SELECT count(*) FROM child");
                CHECK(kept[0].get<int>(0) == (atomic ? 0 : 4));
                CHECK(count(outcomes, is_answered) == 5);
                CHECK(count(outcomes, has_failed) == (atomic ? 5 : 1));
                CHECK(outcomes[atomic ? 4 : wrong].code == violation);
                co_await c.execute("DELETE FROM child");
            }
        }
    });
}

TEST_CASE("a pipeline behind a reset that is given up at once keeps its connection") {
    asio::io_context context;
    auto settings = settings_for("pipeline_behind_reset");
    settings.query.cancel_timeout = 60s;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        for (int round = 0; round < 10; ++round) {
            {
                auto held = co_await pool.acquire();
                co_await held->execute("SET work_mem = '7MB'");
            }
            auto held = co_await pool.acquire();
            pipeline all;
            all.add("SELECT pg_sleep(600)").add("SELECT pg_sleep(600)").add("DEALLOCATE ALL");
            const auto sends = [](connection* on, const pipeline* what) -> asio::awaitable<void> {
                (void)co_await on->try_run(*what);
            };
            asio::co_spawn(context, sends(&*held, &all), asio::detached);
            co_await asio::post(context, asio::use_awaitable);
            held.release();
            const auto idle = [&] { return pool.stats().idle == 1; };
            const bool mended = co_await reached(idle);
            CHECK(mended);
        }
        co_await pool.close(1s);
    });
    CHECK(pool.stats().resets_failed == 0);
    CHECK(pool.stats().opened == 1);
}

TEST_CASE("PI-2: a pipeline of many large statements with large answers does not choke") {
    run_on(settings_for("pipeline_large"), [](connection& c) -> asio::awaitable<void> {
        const std::string text(500'000, 'x');
        pipeline all;
        for (int i = 0; i < 60; ++i) {
            all.add("SELECT $1::text || $2::text", text, std::to_string(i));
        }
        const auto results = co_await c.run(all);
        std::size_t right = 0;
        for (std::size_t i = 0; i < results.size(); ++i) {
            right += results[i][0].get<std::string_view>(0) == text + std::to_string(i) ? 1 : 0;
        }
        CHECK(right == 60);
    });
}

TEST_CASE("a pipeline with a statement that cannot be sent, or cannot stand in one, is not sent at all") {
    run_on(settings_for("pipeline_refused"), [](connection& c) -> asio::awaitable<void> {
        co_await c.execute("CREATE TEMP TABLE kept (a int)");
        for (const auto& wrong : {"COPY kept TO STDOUT"s, "SELECT '\0'"s}) {
            pipeline all;
            all.add("INSERT INTO kept VALUES (1)").add(wrong).add("SELECT 1");
            const auto outcomes = co_await c.try_run(all);
            CHECK(count(outcomes, [](const auto& one) { return one.how == delivery::not_sent; }) == 3);
            CHECK(count(outcomes, has_failed) == 3);
            CHECK(outcomes[0].said.message.find("statement 2 of the pipeline") != std::string::npos);
        }
        const auto kept = co_await c.query("SELECT count(*) FROM kept");
        CHECK(kept[0].get<int>(0) == 0);
    });
}

TEST_CASE("a pipeline whose time is over says which statements may have run, and the connection goes on") {
    const bool atomic = GENERATE(false, true);
    const bool server_timeout = GENERATE(false, true);
    auto settings = settings_for("pipeline_late");
    settings.query.server_timeout = server_timeout;
    settings.query.cancel_timeout = 60s;
    run_on(settings, [=](connection& c) -> asio::awaitable<void> {
        pipeline all;
        for (int i = 0; i < 400; ++i) {
            all.add(i == 100 ? "SELECT pg_sleep(600)" : "SELECT 1");
        }
        const auto outcomes = co_await c.try_run(all, {.atomic = atomic, .timeout = 2s});
        CHECK(outcomes[100].code == pool_errc::query_timeout);
        if (!server_timeout) {  // else the server's word comes first
            CHECK(outcomes[399].code == pool_errc::query_timeout);
            CHECK(outcomes[399].how == delivery::not_sent);
            CHECK(outcomes[100].how == delivery::unknown);
            CHECK((outcomes[99].how == delivery::answered) == !atomic);
        }
        const auto next = co_await c.query("SELECT 'next'");
        CHECK(next[0].get<std::string>(0) == "next");
    });
}

TEST_CASE("a pipeline that is cancelled or whose lease is returned leaves a connection that goes on") {
    const bool atomic = GENERATE(false, true);
    auto settings = settings_for("pipeline_cancelled");
    settings.query.cancel_timeout = 60s;
    run_on(settings, [=](connection& c) -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        for (int round = 0; round < 20; ++round) {
            pipeline all;
            for (int i = 0; i < 300; ++i) {
                all.add(i == 10 * round ? "SELECT pg_sleep(600)" : "SELECT 1");
            }
            const auto outcome = co_await (c.try_run(all, {.atomic = atomic}) || pause(5ms));
            CHECK(outcome.index() == 1);
            const auto next = co_await c.query("SELECT $1::int4", round);
            CHECK(next[0].get<int>(0) == round);
        }
        const auto late = [](connection* on, bool whole) -> asio::awaitable<void> {
            pipeline all;
            all.add("SELECT pg_sleep(600)").add("SELECT 1");
            (void)co_await on->try_run(all, {.atomic = whole});
        };
        asio::co_spawn(co_await asio::this_coro::executor, late(&c, atomic), asio::detached);
        co_await pause(20ms);  // the lease is returned amid it
    });
}

TEST_CASE("what a pipeline leaves in its session is reset, and what it is told stays inside it") {
    asio::io_context context;
    pool pool{context.get_executor(), settings_for("pipeline_state")};
    run(context, [&]() -> asio::awaitable<void> {
        {
            auto held = co_await pool.acquire();
            pipeline all;
            all.add("SELECT 1").add("SET work_mem = '7MB'").add("SHOW work_mem");
            const auto results = co_await held->run(all, {.timeout = 60s});
            CHECK(results[2][0].get<std::string>(0) == "7MB");
        }
        const auto shown = co_await pool.query("SHOW work_mem");
        CHECK(shown[0].get<std::string>(0) != "7MB");
        const auto limit = co_await pool.query("SHOW statement_timeout");
        CHECK(limit[0].get<std::string>(0) == "0");
        lease empty;
        pipeline one;
        one.add("SELECT 1");
        const auto outcomes = co_await empty->try_run(one);
        CHECK(outcomes[0].code == pool_errc::lease_released);
        CHECK(outcomes[0].how == delivery::not_sent);
        co_await pool.close(1s);
    });
    CHECK(pool.stats().resets == 1);
}

TEST_CASE("a pipeline behind a transaction that was given up runs outside it") {
    run_on(settings_for("pipeline_debt"), [](connection& c) -> asio::awaitable<void> {
        co_await c.execute("CREATE TEMP TABLE kept (a int)");
        {
            auto abandoned = co_await c.begin();
            co_await abandoned.execute("INSERT INTO kept VALUES (1)");
        }
        pipeline all;
        all.add("INSERT INTO kept VALUES (2)").add("SELECT count(*), sum(a) FROM kept");
        const auto results = co_await c.run(all);
        CHECK(results[1][0].get<int>(0) == 1);
        CHECK(results[1][0].get<int>(1) == 2);
    });
}
