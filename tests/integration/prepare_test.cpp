#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <string>
#include <vector>

// Prepared statements, as the server sees them.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings prepare_at_once(const std::string& application, size_settings size = {.min = 0, .max = 1}) {
    auto settings = fixture::settings(application, size);
    settings.prepare.after_uses = 1;
    return settings;
}

/// What a session has prepared that the library prepares.
asio::awaitable<std::vector<std::string>> prepared_in(connection& c) {
    // Through statements that are never prepared themselves.
    co_await c.execute("DECLARE names CURSOR WITH HOLD FOR SELECT statement FROM pg_prepared_statements "
                       "WHERE name LIKE 'p\\_%' ORDER BY prepare_time, statement");
    const auto names = co_await c.query("FETCH ALL FROM names");
    co_await c.execute("CLOSE names");
    std::vector<std::string> all;
    for (const auto& one : names) {
        all.push_back(one.get<std::string>(0));
    }
    co_return all;
}

using texts = std::vector<std::string>;

void run_on(const pool_settings& settings, auto body) {
    asio::io_context context;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await body(pool);
        co_await pool.close(1s);
    });
}

}  // namespace

TEST_CASE("PS-7: a statement is prepared at its fifth use, and gives the same before and after") {
    run_on(fixture::settings("fifth_use", {.min = 0, .max = 1}), [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int use = 1; use <= 8; ++use) {
            const auto rows = co_await held->query("SELECT $1 + 1", use);
            CHECK(rows[0].get<int>(0) == use + 1);
            const auto names = co_await prepared_in(*held);
            CHECK(names == (use < 5 ? texts{} : texts{"SELECT $1 + 1"}));
        }
        CHECK(pool.stats().prepares == 1);
    });
}

TEST_CASE("PS-3: prepared statements stay through the reset of a session, and DISCARD ALL drops them") {
    const auto mode = GENERATE(reset_mode::smart, reset_mode::discard_all);
    auto settings = prepare_at_once("prepared_and_reset");
    settings.reset.mode = mode;
    run_on(settings, [mode](pool& pool) -> asio::awaitable<void> {
        {
            auto held = co_await pool.acquire();
            co_await held->query("SELECT 42");
            co_await held->execute("SET work_mem = '7MB'");
        }
        auto held = co_await pool.acquire();
        const auto names = co_await prepared_in(*held);
        CHECK(names == (mode == reset_mode::smart ? texts{"SELECT 42"} : texts{}));
        const auto rows = co_await held->query("SELECT 42");
        CHECK(rows[0].get<int>(0) == 42);
        CHECK(pool.stats().prepares_repeated == 0);
        CHECK(pool.stats().resets == 1);
    });
}

TEST_CASE("PS-1: a session has no more prepared statements than it may, and the oldest is closed on the server") {
    auto settings = prepare_at_once("prepared_limit");
    settings.prepare.max_statements = 2;
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (const int number : {1, 2, 1, 3}) {
            const auto rows = co_await held->query("SELECT " + std::to_string(number));
            CHECK(rows[0].get<int>(0) == number);
        }
        auto names = co_await prepared_in(*held);
        CHECK(names == texts{"SELECT 1", "SELECT 3"});
        co_await held->execute("BEGIN");
        co_await held->query("SELECT 4");  // inside a transaction nothing is closed
        co_await held->execute("COMMIT");
        names = co_await prepared_in(*held);
        CHECK(names == texts{"SELECT 1", "SELECT 3"});
        CHECK(pool.stats().prepares_closed == 1);
    });
}

TEST_CASE("PS-4: tables may change between two executions, and no caller outside a transaction sees an error") {
    auto settings = prepare_at_once("prepared_ddl");
    const auto timeout = GENERATE(0ms, 60'000ms);  // with one, the statement stands behind the setting of it
    settings.query.timeout = timeout;
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        co_await held->execute("CREATE TEMP TABLE changing (a int)");
        co_await held->execute("INSERT INTO changing VALUES (1)");
        for (int columns = 1; columns <= 20; ++columns) {
            for (int i = 0; i < 3; ++i) {
                const auto rows = co_await held->query("SELECT * FROM changing");
                CHECK(rows.columns() == static_cast<std::size_t>(columns));
            }
            co_await held->execute("ALTER TABLE changing ADD COLUMN c" + std::to_string(columns) + " int");
        }
        CHECK(pool.stats().prepares_repeated == 19);

        co_await held->execute("BEGIN");
        const auto inside = co_await outcome_of(*held, "SELECT * FROM changing");
        CHECK(inside == error_code{sqlstate_value("0A000"), sqlstate_category()});
        co_await held->execute("ROLLBACK");
        const auto rows = co_await held->query("SELECT * FROM changing");
        CHECK(rows.columns() == 21);
    });
}

TEST_CASE("PS-4: a statement that the server has no more is prepared once more, unless a transaction forbids it") {
    run_on(prepare_at_once("prepared_lost"), [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        co_await held->query("SELECT 1");
        co_await held->execute("DEALLOCATE ALL");  // which is seen
        co_await held->query("SELECT 1");
        CHECK(pool.stats().prepares_repeated == 0);
        CHECK(pool.stats().prepares == 2);
        co_await held->execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");  // which is not
        const auto rows = co_await held->query("SELECT 1");
        CHECK(rows[0].get<int>(0) == 1);
        CHECK(pool.stats().prepares_repeated == 1);
        co_await held->execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");
        co_await held->execute("BEGIN");
        const auto inside = co_await outcome_of(*held, "SELECT 1");
        CHECK(inside == sqlstate::invalid_sql_statement_name);
        co_await held->execute("ROLLBACK");
        co_await held->query("SELECT 1");
        CHECK(pool.stats().prepares_repeated == 1);
    });
}

TEST_CASE("PS-4: a failure of the statement's own that looks like a lost plan is told as it is, once") {
    run_on(prepare_at_once("prepared_own_failure"), [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        co_await held->execute("CREATE FUNCTION pg_temp.fails() RETURNS int LANGUAGE plpgsql AS "
                               "$$ BEGIN RAISE EXCEPTION 'no such statement' USING ERRCODE = '26000'; END $$");
        for (int i = 0; i < 3; ++i) {
            const auto how = co_await outcome_of(*held, "SELECT pg_temp.fails()");
            CHECK(how == sqlstate::invalid_sql_statement_name);
        }
        CHECK(pool.stats().prepares_repeated == 0);
        CHECK(pool.stats().prepares == 1);
    });
}

TEST_CASE("PS-5: with prepare off every statement is unnamed") {
    auto settings = prepare_at_once("prepare_off");
    settings.prepare.mode = prepare_mode::off;
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int i = 0; i < 10; ++i) {
            co_await held->query("SELECT 1");
        }
        const auto names = co_await prepared_in(*held);
        CHECK(names.empty());
        auto on = pool.settings();
        on.prepare.mode = prepare_mode::automatic;
        pool.reconfigure(on);  // live
        co_await held->query("SELECT 1");
        CHECK(pool.stats().prepares == 1);
    });
}

TEST_CASE("PS-3, LC-3: a new connection has what the pool uses most before it is lent") {
    auto settings = prepare_at_once("prepared_early");
    settings.prepare.warm_statements = 2;
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        {
            auto held = co_await pool.acquire();
            for (int use = 0; use < 640; ++use) {
                co_await held->query(use % 2 == 0 ? "SELECT 'often'" : "SELECT 'oftener'");
                co_await held->query("SELECT 'oftener'");
            }
            co_await held->query("SELECT 'once'");
            held.discard();
        }
        auto held = co_await pool.acquire();
        const auto names = co_await prepared_in(*held);
        CHECK(names == texts{"SELECT 'oftener'", "SELECT 'often'"});  // the most used first
        const auto before = pool.stats().prepares;
        const auto rows = co_await held->query("SELECT 'often'");
        CHECK(rows[0].get<std::string>(0) == "often");
        CHECK(pool.stats().prepares == before);
    });
}

TEST_CASE("PS-3: a statement that can be prepared no more keeps no connection from joining") {
    run_on(prepare_at_once("prepared_gone"), [](pool& pool) -> asio::awaitable<void> {
        co_await pool.query("CREATE TABLE IF NOT EXISTS prepared_and_gone (a int)");
        for (int i = 0; i < 200; ++i) {
            co_await pool.query("SELECT a FROM prepared_and_gone");
        }
        co_await pool.query("SELECT 'still there'");
        co_await pool.query("DROP TABLE prepared_and_gone");
        for (int i = 0; i < 3; ++i) {
            auto held = co_await pool.acquire();
            if (i > 0) {  // a new one
                const auto names = co_await prepared_in(*held);
                CHECK(std::count(names.begin(), names.end(), "SELECT 'still there'") == 1);
            }
            const auto how = co_await outcome_of(*held, "SELECT a FROM prepared_and_gone");
            CHECK(how == sqlstate::undefined_table);
            held.discard();
        }
        CHECK(pool.stats().unprepared == 0);
        CHECK(pool.stats().dials_failed == 0);
    });
}

TEST_CASE("a statement that cannot be prepared fails as it would without, and the connection goes on") {
    run_on(prepare_at_once("prepare_fails"), [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int i = 0; i < 3; ++i) {
            int position = 0;
            try {
                co_await held->query("SELECT nothing FROM pg_class");
            } catch (const error& failed) {
                CHECK(failed.code() == sqlstate::undefined_column);
                CHECK(failed.statement() == "SELECT nothing FROM pg_class");
                const std::string words = failed.what();
                CHECK(words.find("; at character 8 of the statement: SELECT nothing FROM pg_class") !=
                      std::string::npos);
                position = failed.position();
            }
            CHECK(position == 8);
        }
        co_await held->execute("BEGIN");
        const auto how = co_await outcome_of(*held, "SELECT nothing FROM pg_class");
        CHECK(how == sqlstate::undefined_column);
        const auto then = co_await outcome_of(*held, "SELECT 1");
        CHECK(then == error_code{sqlstate_value("25P02"), sqlstate_category()});
        co_await held->execute("ROLLBACK");
        const auto rows = co_await held->query("SELECT 1");
        CHECK(rows[0].get<int>(0) == 1);
    });
}

TEST_CASE("a statement that is given up while it is prepared is prepared anew, and in a transaction it is not named") {
    auto settings = prepare_at_once("prepare_given_up");
    settings.query.server_timeout = false;
    settings.query.cancel_timeout = 60s;
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        other.execute("DROP TABLE IF EXISTS prepared_and_locked; CREATE TABLE prepared_and_locked (a int)");
        const std::string sql = "SELECT count(*) FROM prepared_and_locked";
        auto held = co_await pool.acquire();
        other.execute("BEGIN; LOCK TABLE prepared_and_locked IN ACCESS EXCLUSIVE MODE");
        error_code how;
        try {
            co_await held->query(query_options{.timeout = 50ms}, sql);
        } catch (const error& late) {
            how = late.code();
        }
        CHECK(how == pool_errc::query_timeout);
        co_await held->execute("SHOW work_mem");  // when it is quiet: the statement has ended behind the lock
        other.execute("ROLLBACK");
        co_await held->execute("BEGIN");
        const auto inside = co_await held->query(sql);
        CHECK(inside.size() == 1);
        co_await held->execute("COMMIT");
        auto names = co_await prepared_in(*held);
        CHECK(names == texts{});
        co_await held->query(sql);
        names = co_await prepared_in(*held);
        CHECK(names == texts{sql});
        CHECK(pool.stats().prepares_repeated == 0);
    });
}

TEST_CASE("what drops other things than prepared statements makes the session forget none") {
    run_on(prepare_at_once("prepare_and_discard"), [](pool& pool) -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        co_await held->query("SELECT 1");
        co_await held->execute("PREPARE mine AS SELECT 2");
        for (const std::string sql : {"DISCARD TEMP", "DISCARD PLANS", "DEALLOCATE mine"}) {
            co_await held->execute(sql);
            co_await held->execute("BEGIN");
            const auto rows = co_await held->query("SELECT 1");
            CHECK(rows.size() == 1);
            co_await held->execute("COMMIT");
        }
        CHECK(pool.stats().prepares == 1);
    });
}

TEST_CASE("PS-3: a table that is locked keeps no new connection from joining") {
    auto settings = prepare_at_once("prepare_behind_lock");
    settings.query.timeout = 10ms;  // is not for what the pool prepares
    settings.query.cancel_timeout = 60s;
    settings.size.automatic = automatic_size{};
    run_on(settings, [](pool& pool) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        other.execute("DROP TABLE IF EXISTS prepared_and_locked; CREATE TABLE prepared_and_locked (a int)");
        {
            auto held = co_await pool.acquire();
            const query_options patient{.timeout = 60s};
            co_await held->query(patient, "SELECT a FROM prepared_and_locked");
            co_await held->query(patient, "SELECT 'free'");
            held.discard();
        }
        other.execute("BEGIN; LOCK TABLE prepared_and_locked IN ACCESS EXCLUSIVE MODE");
        auto held = co_await pool.acquire();
        const auto rows = co_await held->query(query_options{.timeout = 60s}, "SELECT 'free'");
        CHECK(rows.size() == 1);
        other.execute("ROLLBACK");
        const auto late = co_await held->query(query_options{.timeout = 60s}, "SELECT a FROM prepared_and_locked");
        CHECK(late.empty());
        CHECK(pool.stats().unprepared == 0);
        CHECK(pool.stats().query_timeouts == 0);
    });
}
