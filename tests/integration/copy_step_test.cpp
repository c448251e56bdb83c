#include "transaction_fixture.hpp"

#include <trunkline/sqlstate.hpp>

#include <optional>
#include <utility>

// COPY that the server refuses, at each point where it can, and what becomes of the connection.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 1});
}

/// A table with triggers that refuse.
void make_tables(plain_connection& with) {
    with.execute(
        "DROP TABLE IF EXISTS refusing, refusing_rows, waiting CASCADE;"
        "CREATE TABLE refusing (i int); CREATE TABLE refusing_rows (i int, s text); CREATE TABLE waiting (i int);"
        "CREATE OR REPLACE VIEW refusing_view AS SELECT i FROM refusing;"
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE WARNING ''mind''; RAISE EXCEPTION ''not here''; END';"
        "CREATE OR REPLACE FUNCTION wait_first() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock(815); RETURN NULL; END';"
        "CREATE TRIGGER refuses BEFORE INSERT ON refusing EXECUTE FUNCTION refuse();"
        "CREATE TRIGGER refuses BEFORE INSERT ON refusing_rows FOR EACH ROW EXECUTE FUNCTION refuse();"
        "CREATE TRIGGER waits BEFORE INSERT ON waiting EXECUTE FUNCTION wait_first()");
}

/// The connection is the same, and each statement gets its own answer.
asio::awaitable<void> check_in_step(connection& on, int pid) {
    for (int i = 0; i < 5; ++i) {
        const auto got = co_await on.query("SELECT $1::int, pg_backend_pid()", i);
        REQUIRE(got.size() == 1);
        CHECK(got[0].get<int>(0) == i);
        CHECK(got[0].get<int>(1) == pid);
    }
}

}  // namespace

TEST_CASE("a COPY that fails before it has read any data leaves its connection in step") {
    auto settings = settings_for("copy_early");
    settings.reset.mode = GENERATE(reset_mode::smart, reset_mode::always);
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{fixture::url()};
        make_tables(observer);
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        for (int round = 0; round < 10; ++round) {
            for (const std::string sql : {"COPY refusing_view FROM STDIN", "COPY refusing FROM STDIN",
                                          "COPY refusing_rows FROM STDIN (FREEZE)"}) {
                INFO(sql);
                const auto loaded = co_await failure_of(load(*held, sql, "1\tx\n", round));
                CHECK(!loaded.sqlstate().empty());
                co_await check_in_step(*held, pid);
                const auto queried = co_await outcome_of(held->query(sql));
                CHECK(queried.failed());
                co_await check_in_step(*held, pid);
                {
                    const auto left = co_await outcome_of(held->copy_in(sql));
                    CHECK(!left);
                }
                held.release();
                held = co_await lines.acquire();
                co_await check_in_step(*held, pid);
            }
        }
        CHECK(lines.stats().opened == 1);
    });
}

TEST_CASE("a COPY that is left while the server waits for a lock is stopped, and its connection goes on in step") {
    run_on(settings_for("copy_locked"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{fixture::url()};
        make_tables(observer);
        observer.execute("SELECT pg_advisory_lock(815)");
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        for (int round = 0; round < 3; ++round) {
            {
                auto to = co_await held->copy_in("COPY waiting FROM STDIN");
                co_await to.write("1\n");
            }
            co_await check_in_step(*held, pid);
            auto to = co_await held->copy_in({.timeout = 500ms}, "COPY waiting FROM STDIN");
            const auto late = co_await outcome_of(to.finish());
            CHECK(late == pool_errc::query_timeout);
            co_await check_in_step(*held, pid);
        }
        CHECK(lines.stats().cancels_unproven == 0);
        observer.execute("SELECT pg_advisory_unlock(815)");
    });
}

TEST_CASE("data that a trigger refuses is told soon, with its line, also behind a warning and over TLS") {
    const bool tls = GENERATE(false, true);
    static postgres_server secure{{.tls = true}};
    const auto url = tls ? secure.url() + "?sslmode=require" : fixture::url();
    auto settings = settings_for("copy_soon");
    settings.connect.url = url;
    run_on(settings, [=](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{url};
        make_tables(observer);
        auto held = co_await lines.acquire();
        const std::string rows = "1\t" + std::string(100'000, 'y') + "\n";
        int soon = 0;  // now and then libpq reads it in the wrong moment
        for (int round = 0; round < 10; ++round) {
            auto to = co_await held->copy_in("COPY refusing_rows FROM STDIN");
            error_code why;
            for (int written = 0; !why && written < 1'000; ++written) {  // 100 MB
                why = co_await outcome_of(to.write(rows));
            }
            soon += why.failed() ? 1 : 0;
            if (!why) {
                why = co_await outcome_of(to.finish());
            }
            CHECK(why.category() == sqlstate_category());
        }
        CHECK(soon > 0);
        const auto refused = co_await failure_of(load(*held, "COPY refusing_rows FROM STDIN", "1\tsecret\n", 3));
        CHECK(refused.message() == "not here");
        CHECK(refused.detail() == "COPY refusing_rows, line 1");
        CHECK(lines.stats().opened == 1);
    });
}

TEST_CASE("rows of values may be longer than what is sent at a time, and are stored whole") {
    run_on(settings_for("copy_long"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int, s text)");
        auto first = co_await held->copy_in("COPY t FROM STDIN (FORMAT binary)");
        auto to = std::move(first);
        std::size_t all = 0;
        for (int i = 0; i < 20; ++i) {
            const std::string text(static_cast<std::size_t>(i) * 300'000, 'x');
            all += text.size();
            co_await to.write_row(i, text);
        }
        const auto moved_from = co_await outcome_of(first.finish());  // NOLINT(bugprone-use-after-move): what it says
        CHECK(moved_from == pool_errc::copy_ended);
        const auto stored = co_await to.finish();
        CHECK(stored == 20);
        const auto length = co_await value_of(*held, "SELECT sum(length(s))::text FROM t");
        CHECK(length == std::to_string(all));
    });
}

TEST_CASE("a COPY's text may hold no other statement, and none of it is sent then") {
    run_on(settings_for("copy_two"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("CREATE TEMP TABLE t (i int, s text)");
        for (const std::string sql : {"COPY t FROM STDIN; SELECT 1", "COPY t FROM STDIN; DROP TABLE t",
                                      "COPY t TO STDOUT; COPY t FROM STDIN", "/* ; */ COPY t FROM STDIN;; SELECT 1"}) {
            INFO(sql);
            const auto in = co_await outcome_of(held->copy_in(sql));
            CHECK(in == pool_errc::unsupported_statement);
            const auto out = co_await outcome_of(held->copy_out(sql));
            CHECK(out == pool_errc::unsupported_statement);
            const auto query = co_await outcome_of(held->query(sql));
            CHECK(query == pool_errc::unsupported_statement);
            co_await check_in_step(*held, pid);
        }
        CHECK(lines.stats().drains == 0);
        const auto rows = co_await failure_of(load(*held, "COPY t FROM STDIN (DELIMITER ';'); -- its end", "1;a\n", 3));
        CHECK(!rows.code());
        const auto count = co_await value_of(*held, "SELECT count(*)::text FROM t");
        CHECK(count == "3");
    });
}

TEST_CASE("HY-3: COPY through query is refused at once, also where the server has been told a time") {
    auto settings = settings_for("copy_query");
    settings.query.timeout = 5s;
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        for (int i = 0; i < 3; ++i) {
            co_await check_in_step(*held, pid);
            const auto refused = co_await outcome_of(held->query("COPY (SELECT 1) TO STDOUT"));
            CHECK(refused == pool_errc::unsupported_statement);
        }
        CHECK(lines.stats().query_timeouts == 0);
    });
}

TEST_CASE("PS-1: a statement with a trace parent is not prepared, and puts no other out of its place") {
    run_on(settings_for("traced"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const query_options traced{.trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
        for (int i = 0; i < 20; ++i) {
            co_await held->query(traced, "SELECT $1::int", i);
        }
        CHECK(lines.stats().prepares == 0);
    });
}
