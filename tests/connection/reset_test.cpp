#include "mending_fixture.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;

void make_role() {
    static const bool made = [] {
        scalar(server().url(), "DO $$ BEGIN CREATE ROLE other; END $$; CREATE SEQUENCE ticks; SELECT 1");
        return true;
    }();
    REQUIRE(made);
}

/// One lease leaves something, the next looks for it.
struct leftover {
    std::string what;
    std::vector<std::string> leave;
    std::string look;  // a statement whose first column is what the next one must not see
    std::string clean;
};

const std::vector<leftover>& leftovers() {
    static const std::vector<leftover> all{
        {"a GUC", {"SET work_mem = '77MB'"}, "SELECT current_setting('work_mem')", "4MB"},
        {"a GUC by function",
         {"SELECT set_config('work_mem', '77MB', false)"},
         "SELECT current_setting('work_mem')",
         "4MB"},
        {"a GUC from a DO block",
         {"DO $$ BEGIN SET work_mem = '77MB'; END $$"},
         "SELECT current_setting('work_mem')",
         "4MB"},
        {"a role", {"SET ROLE other"}, "SELECT current_user::text", "postgres"},
        {"a session authorization", {"SET SESSION AUTHORIZATION other"}, "SELECT session_user::text", "postgres"},
        {"a temporary table",
         {"CREATE TEMP TABLE mine (i int)"},
         "SELECT coalesce(to_regclass('mine')::text, 'gone')",
         "gone"},
        {"a temporary table of SELECT INTO",
         {"SELECT 1 AS a INTO TEMP mine"},
         "SELECT coalesce(to_regclass('mine')::text, 'gone')",
         "gone"},
        {"an advisory lock",
         {"SELECT pg_advisory_lock(42)"},
         "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'",
         "0"},
        {"a subscription", {"LISTEN news"}, "SELECT count(*)::text FROM pg_listening_channels()", "0"},
        {"a cursor",
         {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "COMMIT"},
         "SELECT count(*)::text FROM pg_cursors WHERE name = 'c'",
         "0"},
        {"a SET inside a rolled-back transaction",
         {"BEGIN", "SET work_mem = '77MB'", "ROLLBACK"},
         "SELECT current_setting('work_mem')",
         "4MB"},
        {"a SET inside a transaction that was never ended",
         {"BEGIN", "SET work_mem = '77MB'"},
         "SELECT current_setting('work_mem')",
         "4MB"},
        {"a time-out", {"SET statement_timeout = '1h'"}, "SELECT current_setting('statement_timeout')", "0"},
    };
    return all;
}

awaitable<void> leave_and_look(lone_connection& on, const leftover& one) {
    for (const auto& sql : one.leave) {
        (void)co_await on.query(sql);
    }
    const bool clean = co_await give_back(on);
    CHECK(clean);
    const result seen = co_await on.query(one.look);
    CHECK(seen[0].get<std::string>(0) == one.clean);
    const bool again = co_await give_back(on);
    CHECK(again);
}

TEST_CASE("HY-6: nothing that a lease leaves reaches the next borrower") {
    make_role();
    for (const auto mode : {reset_mode::smart, reset_mode::always, reset_mode::discard_all}) {
        owner of;
        of.policy->reset = mode;
        with_connection(
            [&](lone_connection& on) -> awaitable<void> {
                for (const auto& one : leftovers()) {
                    INFO(one.what << ", mode " << static_cast<int>(mode));
                    co_await leave_and_look(on, one);
                }
            },
            server().url(), of.events());
        CHECK(of.lost == 0);
        CHECK(of.policy->resets >= leftovers().size());
        CHECK(of.policy->resets_failed == 0);
    }
}

TEST_CASE("HY-6: a sequence's last value never reaches the next borrower") {
    make_role();
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("SELECT nextval('ticks')");
        const bool clean = co_await give_back(on);
        CHECK(clean);
        const error unknown = co_await error_of(on.query("SELECT currval('ticks')"));
        CHECK(unknown.sqlstate() == "55000");
    });
}

TEST_CASE("HY-4: a placeholder that a lease made up stays defined, but empty") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("SET app.tenant = '7'");
        const bool clean = co_await give_back(on);
        CHECK(clean);
        const result seen = co_await on.query("SELECT coalesce(current_setting('app.tenant', true), '')");
        CHECK(seen[0].get<std::string>(0).empty());
    });
}

TEST_CASE("HY-4: prepared statements survive the default reset, and not DISCARD ALL") {
    for (const auto mode : {reset_mode::always, reset_mode::discard_all}) {
        owner of;
        of.policy->reset = mode;
        with_connection(
            [&](lone_connection& on) -> awaitable<void> {
                (void)co_await on.query("PREPARE p AS SELECT 1");
                const bool clean = co_await give_back(on);
                CHECK(clean);
                const result seen = co_await on.query("SELECT count(*) FROM pg_prepared_statements");
                CHECK(seen[0].get<std::int64_t>(0) == (mode == reset_mode::always ? 1 : 0));
            },
            server().url(), of.events());
    }
}

TEST_CASE("HY-7: locks are gone when a lease has ended, before anybody takes the connection again") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("SELECT pg_advisory_lock(43)");
        CHECK(on.session().end_use() == pg::left::ready);
        plain_connection observer{server().url()};
        CHECK(comes_true(
            [&] { return observer.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0; }));
        (void)co_await on.query("BEGIN");
        (void)co_await on.query("LOCK TABLE pg_class IN ACCESS SHARE MODE");
        CHECK(on.session().end_use() == pg::left::unclean);
        const bool clean = co_await give_back(on);
        CHECK(clean);
        CHECK(observer.count("SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND pid = " +
                             std::to_string(on.backend_pid())) == 0);
    });
}

TEST_CASE("HY-8: a lease that left nothing costs no reset, one that did costs one") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            for (const char* const sql : {"SELECT 1", "BEGIN", "INSERT INTO pg_temp_none VALUES (1)", "ROLLBACK"}) {
                try {
                    (void)co_await on.query(sql);
                } catch (const error&) {
                }
            }
            CHECK(on.session().end_use() == pg::left::ready);
            CHECK(of.policy->resets == 0);
            (void)co_await on.query("SET work_mem = '5MB'");
            (void)co_await on.query("SELECT 1");
            CHECK(on.session().end_use() == pg::left::ready);
            CHECK(of.policy->resets == 1);
            CHECK(on.session().end_use() == pg::left::ready);  // nobody used it meanwhile
            CHECK(of.policy->resets == 1);
            of.policy->reset = reset_mode::off;
            (void)co_await on.query("SET work_mem = '5MB'");
            CHECK(on.session().end_use() == pg::left::ready);
            CHECK(of.policy->resets == 1);
            of.policy->reset = reset_mode::smart;  // what ran meanwhile was not looked at
            CHECK(on.session().end_use() == pg::left::ready);
            CHECK(of.policy->resets == 2);
        },
        server().url(), of.events());
}

TEST_CASE("HY-5: the reset goes out with the next statement, without waiting for its answer") {
    owner of;
    of.policy->reset = reset_mode::always;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            (void)co_await on.query("SELECT 1");
            server().pause();  // nothing is answered: what is sent now is sent without waiting
            CHECK(on.session().end_use() == pg::left::ready);
            CHECK(on.session().is_fit());
            waiting_operation next;
            next.sql = "SELECT current_setting('work_mem')";
            on.session().start(next);
            co_await pause_for(50ms);
            CHECK_FALSE(next.ended);
            server().resume();
            co_await next.outcome();
            CHECK_FALSE(next.code);
            CHECK(next.rows.size() == 1);
            CHECK(on.session().state() == pg::session_state::clean);
        },
        server().url(), of.events());
    CHECK(of.policy->resets == 1);
    CHECK(of.lost == 0);
}

TEST_CASE("HY-5: a reset that fails costs the connection, and the statement behind it") {
    owner of;
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), server().url(), of.events())};
    const auto body = [&]() -> awaitable<void> {
        (void)co_await on.query("CREATE TEMP TABLE mine (i int)");
        plain_connection other{server().url()};  // its lock makes DISCARD TEMP wait, and so it can be stopped
        const auto table =
            other.scalar("SELECT relnamespace::regnamespace || '.mine' FROM pg_class WHERE relname = 'mine'");
        (void)other.execute("BEGIN; LOCK TABLE " + table + " IN ACCESS SHARE MODE");
        CHECK(on.session().end_use() == pg::left::ready);
        waiting_operation next;
        next.sql = "SELECT 1";
        on.session().start(next);
        plain_connection observer{server().url()};
        const auto waits =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = " + std::to_string(on.backend_pid());
        CHECK(comes_true([&] { return observer.count(waits) == 1; }));
        (void)observer.execute("SELECT pg_cancel_backend(" + std::to_string(on.backend_pid()) + ")");
        co_await next.outcome();
        CHECK(next.code == pool_errc::connection_lost);
        on.session().close(pool_errc::closed, [] {});
    };
    run(context, body);
    CHECK(of.lost == 1);
    CHECK(of.policy->resets_failed == 1);
    CHECK(of.last_words.find("reset") != std::string::npos);
}

TEST_CASE("HY-5: many leases in a row, each with its reset in front") {
    owner of;
    of.policy->reset = reset_mode::always;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            for (int i = 0; i < 500; ++i) {
                const result got = co_await on.query("SELECT $1::int4", i);
                CHECK(got[0].get<int>(0) == i);
                if (i % 7 == 0) {
                    const error failed = co_await error_of(on.query("SELECT 1/0"));
                    CHECK(failed.sqlstate() == "22012");
                }
                CHECK(on.session().end_use() == pg::left::ready);
                if (i % 11 == 0) {
                    CHECK(on.session().end_use() == pg::left::ready);
                    (void)co_await run_and_cancel(on, "SELECT pg_sleep(60)", std::chrono::microseconds{i * 3});
                    const bool clean = co_await give_back(on);
                    CHECK(clean);
                }
            }
        },
        server().url(), of.events());
    CHECK(of.lost == 0);
}

}  // namespace
