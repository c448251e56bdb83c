#include "../integration/waiting.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <fstream>
#include <string>
#include <tuple>

// What an administrator changes on a running server, under the pool's sessions.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

std::string url_of(const postgres_server& server, const std::string& user, const std::string& password) {
    // Each dial is to be one login: without TLS or GSSAPI, after which libpq would try again without.
    return "postgresql://" + user + ":" + password + "@127.0.0.1:" + std::to_string(server.port()) + "/" +
           std::string{postgres_server::database} + "?sslmode=disable&gssencmode=disable";
}

/// Logins that the server has refused, by its own log.
std::size_t refused_logins(const postgres_server& server, const std::string& user) {
    std::ifstream log{server.log_file()};
    std::size_t found = 0;
    for (std::string line; std::getline(log, line);) {
        found += line.find("password authentication failed for user \"" + user + "\"") != std::string::npos &&
                         line.find("FATAL") != std::string::npos
                     ? 1
                     : 0;
    }
    return found;
}

pool_settings rotated(const postgres_server& server) {
    auto settings = settings_on(url_of(server, "rotated", "first"), "rotated", {.min = 1, .max = 2});
    settings.connect.backoff_initial = 1ms;
    settings.connect.backoff_max = 1ms;
    settings.recovery.breaker_failures = 3;
    settings.recovery.breaker_window = 600s;
    settings.recovery.breaker_pause = 600s;  // so that what goes on before is not its end
    settings.acquire.timeout = 60s;
    return settings;
}

/// A statement's outcome, with its SQLSTATE.
asio::awaitable<std::string> state_of(connection& on, const char* sql) {
    std::string state;
    try {
        co_await on.query(sql);
    } catch (const error& failed) {
        state = failed.sqlstate();
    }
    co_return state;
}

}  // namespace

TEST_CASE(
    "RE-7: after ALTER ROLE … PASSWORD open sessions go on, dials stop after a few, and a new URL mends it at once") {
    postgres_server server;
    plain_connection admin{server.url()};
    admin.execute("CREATE ROLE rotated LOGIN PASSWORD 'first'");
    asio::io_context context;
    const auto settings = rotated(server);
    pool pool{context.get_executor(), settings};
    std::shared_ptr<const acquire_error> late;
    int told = 0;
    const auto began = std::chrono::steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        admin.execute("ALTER ROLE rotated PASSWORD 'second'");

        // Somebody else waits for a second connection, which cannot be had; the first one is lent on.
        late = co_await refusal(pool, {.timeout = 500ms});
        const auto still_well = co_await ask(*held, "SELECT 'well'");
        CHECK(still_well.text == "well");
        held.release();
        {
            const auto again = co_await pool.acquire();
            CHECK(again->backend_pid() == pid);
        }

        // Once no session is left callers are told why, at once, and the breaker keeps the account from being locked.
        CHECK(terminate_sessions_of(admin, "rotated") == 1);
        const auto lost = [&] { return pool.stats().total == 0 && refused_logins(server, "rotated") >= 3; };
        const bool all_lost = co_await reached(lost);
        CHECK(all_lost);
        for (int i = 0; i < 20; ++i) {
            const auto why = co_await refusal(pool, {.timeout = 60s});
            told += why && why->reason() == pool_errc::auth_failed ? 1 : 0;
            co_await pause(5ms);
        }
        CHECK(refused_logins(server, "rotated") == 3);

        auto mended = settings;
        mended.connect.url = url_of(server, "rotated", "second");
        pool.reconfigure(mended);
        const auto both = co_await take(pool, 2);
        CHECK(both.size() == 2);
        CHECK(sessions_of(admin, "rotated") == 2);
        co_await pool.close(0s);
    });
    REQUIRE(late);
    CHECK(late->reason() == pool_errc::acquire_timeout);
    REQUIRE(late->last_connect_error() != nullptr);
    CHECK(late->last_connect_error()->sqlstate == "28P01");
    CHECK(late->last_connect_error()->code == errc::login_refused);
    CHECK(told == 20);
    CHECK(refused_logins(server, "rotated") == 3);
    CHECK(pool.last_connect_error() == nullptr);
    CHECK(std::chrono::steady_clock::now() - began < 60s);
}

TEST_CASE("a new password reaches the pool without a refused login, and no lease is broken by it") {
    postgres_server server;
    plain_connection admin{server.url()};
    admin.execute("CREATE ROLE rotated LOGIN PASSWORD 'first'");
    asio::io_context context;
    const auto settings = rotated(server);
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("BEGIN");
        admin.execute("ALTER ROLE rotated PASSWORD 'second'");
        auto next = settings;
        next.connect.url = url_of(server, "rotated", "second");
        pool.reconfigure(next);
        const auto rows = co_await pool.query("SELECT pg_backend_pid()");
        CHECK(rows[0].get<std::int32_t>(0) != pid);
        const auto committed = co_await outcome_of(*held, "COMMIT");
        CHECK_FALSE(committed);
        held.release();
        const auto replaced = [&] {
            return admin.count("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(pid)) == 0;
        };
        const bool in_time = co_await reached(replaced);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    CHECK(refused_logins(server, "rotated") == 0);
    CHECK(pool.stats().dials_failed == 0);
}

TEST_CASE(
    "HY-4: DDL under a prepared statement fails its EXECUTE alone: the session, and what else is prepared, stay") {
    const auto change = GENERATE(table<const char*, const char*>({
        {"ALTER TABLE changing ADD COLUMN b int", "0A000"},
        {"ALTER TABLE changing ALTER COLUMN a TYPE text", "0A000"},
        {"ALTER TABLE changing ALTER COLUMN a SET DEFAULT 7", ""},
        {"DROP TABLE changing", "42P01"},
    }));
    const auto* const ddl = std::get<0>(change);
    const auto* const state = std::get<1>(change);
    const bool in_transaction = GENERATE(false, true);
    INFO(ddl << (in_transaction ? ", in a transaction" : ""));
    plain_connection admin{fixture::server().url()};
    admin.execute("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a");
    asio::io_context context;
    pool pool{context.get_executor(), settings_on(fixture::server(), "changing", {.min = 0, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("PREPARE changed AS SELECT * FROM changing");
        co_await held->query("PREPARE kept AS SELECT 'kept'");
        const auto before = co_await held->query("EXECUTE changed");
        CHECK(before.size() == 1);
        admin.execute(ddl);
        if (in_transaction) {
            co_await held->query("BEGIN");
        }
        const auto told = co_await state_of(*held, "EXECUTE changed");
        CHECK(told == state);
        if (!in_transaction) {  // else that one has failed too
            const auto other = co_await ask(*held, "EXECUTE kept");
            CHECK(other.text == "kept");
        }
        held.release();

        const auto next = co_await pool.acquire();
        CHECK(next->backend_pid() == pid);
        const auto kept = co_await ask(*next, "EXECUTE kept");
        CHECK(kept.text == "kept");
        const auto prepared = co_await ask(*next, "SELECT count(*)::text FROM pg_prepared_statements");
        CHECK(prepared.text == "2");
        co_await next->query("DEALLOCATE changed");
        co_await next->query("PREPARE changed AS SELECT 7");  // as the program does that is told so
        const auto again = co_await state_of(*next, "EXECUTE changed");
        CHECK(again.empty());
        co_await pool.close(0s);
    });
    CHECK(pool.stats().opened == 1);
    CHECK(pool.stats().rollbacks == (in_transaction ? 1 : 0));
}
