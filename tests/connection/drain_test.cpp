#include "mending_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;

TEST_CASE("HY-3: a COPY through query is refused, and the connection goes on") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            (void)co_await on.query("CREATE TEMP TABLE t (i int)");
            for (const char* const sql :
                 {"COPY t FROM STDIN", "COPY (SELECT generate_series(1, 1000)) TO STDOUT", "COPY t TO STDOUT"}) {
                INFO(sql);
                const error refused = co_await error_of(on.query(sql));
                CHECK(refused.code() == pool_errc::unsupported_statement);
                CHECK(on.session().state() == pg::session_state::clean);
                const result got = co_await on.query("SELECT 1");
                CHECK(got.size() == 1);
            }
        },
        server().url(), of.events());
    CHECK(of.policy->drains == 3);
    CHECK(of.lost == 0);
}

TEST_CASE("HY-3: also behind a reset and with a time-out, neither of which it may share a pipeline with") {
    owner of;
    of.policy->reset = reset_mode::always;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            for (int i = 0; i < 3; ++i) {
                (void)co_await on.query(within(5s), "SELECT 1");
                const error armed = co_await error_of(on.query("COPY (SELECT 1) TO STDOUT"));
                CHECK(armed.code() == pool_errc::unsupported_statement);
                const error limited = co_await error_of(on.query(within(5s), "COPY (SELECT 1) TO STDOUT"));
                CHECK(limited.code() == pool_errc::unsupported_statement);
                CHECK(on.session().end_use() == pg::left::ready);
                const error behind = co_await error_of(on.query("COPY (SELECT 1) TO STDOUT"));
                CHECK(behind.code() == pool_errc::unsupported_statement);
            }
        },
        server().url(), of.events());
    CHECK(of.lost == 0);
}

TEST_CASE("HY-3: a COPY with more rows than the limit costs the connection") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const error refused = co_await error_of(on.query("COPY (SELECT generate_series(1, 1000000)) TO STDOUT"));
            CHECK(refused.code() == pool_errc::unsupported_statement);
            CHECK(on.session().end_use() == pg::left::broken);
        },
        server().url(), of.events());
    CHECK(of.policy->drains_given_up == 1);
}

TEST_CASE("HY-3: so does one that does not end in time") {
    owner of;
    of.policy->drain_bytes = std::size_t{1} << 30;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const error refused = co_await error_of(
                on.query("COPY (SELECT repeat('x', 9000), pg_sleep(0.02) FROM generate_series(1, 1000)) TO STDOUT"));
            CHECK(refused.code() == pool_errc::unsupported_statement);
            CHECK(on.session().end_use() == pg::left::broken);
        },
        server().url(), of.events());
    CHECK(of.policy->drains_given_up == 1);
}

TEST_CASE("HY-3: a lease that ends amid a long result keeps its connection only if little is left") {
    for (const std::size_t limit : {std::size_t{1'000}, std::size_t{1} << 30}) {
        owner of;
        of.policy->drain_bytes = limit;
        with_connection(
            [&](lone_connection& on) -> awaitable<void> {
                waiting_operation running;
                running.sql = "SELECT repeat('x', 1000), generate_series(1, 100000000)";
                on.session().start(running);
                // Nothing is read meanwhile, so the server comes to wait until there is room for its rows.
                REQUIRE(waits_for(on.backend_pid(), "ClientWrite"));
                const bool clean = co_await give_back(on);
                INFO(of.last_words << " cancels " << of.policy->cancels << " refused " << of.policy->cancels_refused);
                CHECK(clean == (limit > 1'000));
                CHECK(running.code == pool_errc::lease_released);
            },
            server().url(), of.events());
    }
}

TEST_CASE("RE-9: a connection whose server turned read-only is closed when its lease ends") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("CREATE TABLE IF NOT EXISTS written (i int)");
        CHECK_FALSE(on.session().is_read_only());
        plain_connection admin{server().url()};
        (void)admin.execute("ALTER SYSTEM SET default_transaction_read_only = on");
        (void)admin.execute("SELECT pg_reload_conf()");
        error_code outcome;
        for (int i = 0; i < 1'000 && !outcome; ++i) {
            try {
                (void)co_await on.query("INSERT INTO written VALUES (1)");
            } catch (const error& failed) {
                outcome = failed.code();
            }
            co_await pause_for(1ms);
        }
        CHECK(outcome == sqlstate::read_only_transaction);
        CHECK(on.session().is_read_only());
        CHECK(on.session().end_use() == pg::left::broken);
    });
    // One that was so from the start is no reason to open the next.
    with_connection([](lone_connection& on) -> awaitable<void> {
        const error failed = co_await error_of(on.query("INSERT INTO written VALUES (1)"));
        CHECK(failed.code() == sqlstate::read_only_transaction);
        CHECK(on.session().end_use() == pg::left::ready);
    });
    plain_connection admin{server().url()};
    (void)admin.execute("ALTER SYSTEM RESET default_transaction_read_only");
    (void)admin.execute("SELECT pg_reload_conf()");
}

}  // namespace
