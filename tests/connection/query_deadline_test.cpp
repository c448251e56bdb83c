#include "mending_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;
using std::chrono::steady_clock;

awaitable<error> timed_out(connection& on, std::chrono::milliseconds timeout, std::string sql) {
    try {
        (void)co_await on.query(within(timeout), sql);
    } catch (const error& thrown) {
        co_return thrown;
    }
    throw std::logic_error{"an error was expected, and none came"};
}

awaitable<std::string> server_timeout_of(connection& on, query_options options = {}) {
    const result got = co_await on.query(options, "SELECT current_setting('statement_timeout')");
    co_return got[0].get<std::string>(0);
}

TEST_CASE("TO-9: the server stops a statement whose time is over, and the connection is at rest at once") {
    owner of;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const error failed = co_await timed_out(on, 100ms, "SELECT pg_sleep(60)");
            CHECK(failed.code() == pool_errc::query_timeout);
            CHECK(failed.sqlstate() == "57014");
            CHECK(on.session().state() == pg::session_state::clean);
            const result got = co_await on.query("SELECT 1");
            CHECK(got.size() == 1);
        },
        server().url(), of.events());
    CHECK(of.policy->timeouts == 1);
    CHECK(of.policy->cancels == 0);
    CHECK(of.lost == 0);
}

TEST_CASE("TO-9: a statement's time-out is not inherited by the next one") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        const auto told = co_await server_timeout_of(on, within(1234ms));
        CHECK(told == "1234ms");
        const auto next = co_await server_timeout_of(on);
        CHECK(next == "0");
        const auto same = co_await server_timeout_of(on, within(1234ms));
        CHECK(same == "1234ms");
        const bool clean = co_await give_back(on);
        CHECK(clean);
        const auto borrower = co_await server_timeout_of(on);
        CHECK(borrower == "0");
    });
}

TEST_CASE("TO-9: nor does a transaction that is rolled back bring one back") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await server_timeout_of(on, within(1234ms));
        (void)co_await on.query("BEGIN");
        const auto inside = co_await server_timeout_of(on);
        CHECK(inside == "0");
        (void)co_await on.query("ROLLBACK");
        const auto after = co_await server_timeout_of(on);
        CHECK(after == "0");
        (void)co_await on.query("BEGIN");
        const auto limited = co_await server_timeout_of(on, within(777ms));
        CHECK(limited == "777ms");
        (void)co_await error_of(on.query("SELECT 1/0"));
        (void)co_await on.query(within(777ms), "ROLLBACK");
        const auto again = co_await server_timeout_of(on, within(777ms));
        CHECK(again == "777ms");
    });
}

TEST_CASE("TO-9: what refuses to run in a transaction runs with a time-out") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.execute(within(5s), "VACUUM pg_class");
        (void)co_await on.execute(within(6s), "VACUUM pg_class");
        CHECK(on.session().state() == pg::session_state::clean);
    });
}

TEST_CASE("TO-9: the policy's time-out counts for statements without one of their own") {
    owner of;
    of.policy->query_timeout = 100;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const error failed = co_await error_of(on.query("SELECT pg_sleep(60)"));
            CHECK(failed.code() == pool_errc::query_timeout);
            const auto own = co_await server_timeout_of(on, within(300ms));
            CHECK(own == "300ms");
        },
        server().url(), of.events());
}

TEST_CASE("TO-3: without the server's help this side stops the statement, and the connection goes on") {
    owner of;
    of.policy->server_timeout = false;
    with_connection(
        [&](lone_connection& on) -> awaitable<void> {
            const auto begin = steady_clock::now();
            const error failed = co_await timed_out(on, 100ms, "SELECT pg_sleep(60)");
            CHECK(failed.code() == pool_errc::query_timeout);
            CHECK(steady_clock::now() - begin >= 100ms);
            const auto after = co_await settled(on);
            CHECK(after == pg::session_state::clean);
            const auto told = co_await server_timeout_of(on, {.timeout = 5s});
            CHECK(told == "0");
        },
        server().url(), of.events());
    CHECK(of.policy->cancels == 1);
    CHECK(of.policy->cancels_proven == 1);
    CHECK(of.lost == 0);
}

TEST_CASE("TO-3: a statement on a server that answers nothing fails a second after its time at the latest") {
    owner of;
    of.policy->cancel_timeout = 300;
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), server().url(), of.events())};
    const auto body = [&]() -> awaitable<void> {
        server().pause();
        const auto begin = steady_clock::now();
        const error failed = co_await timed_out(on, 200ms, "SELECT 1");
        CHECK(failed.code() == pool_errc::query_timeout);
        CHECK(steady_clock::now() - begin >= 200ms);
        CHECK(steady_clock::now() - begin < 1'200ms);
        const error parked = co_await timed_out(on, 50ms, "SELECT 1");  // its time runs while it waits
        CHECK(parked.code() == pool_errc::query_timeout);
        const auto after = co_await settled(on);
        CHECK(after == pg::session_state::broken);
        server().resume();
        on.session().close(pool_errc::closed, [] {});
    };
    run(context, body);
    CHECK(of.lost == 1);
}

TEST_CASE("TO-9: a statement that ends just then ends once, and nothing hits the next") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        for (int i = 0; i < 200; ++i) {
            try {
                (void)co_await on.query(within(std::chrono::milliseconds{1 + i % 5}), "SELECT pg_sleep(0.002)");
            } catch (const error& failed) {
                CHECK(failed.code() == pool_errc::query_timeout);
            }
            const result got = co_await on.query("SELECT 1 FROM pg_sleep(0.001)");
            CHECK(got.size() == 1);
        }
    });
}

TEST_CASE("TO-9: a user's cancellation is not called a time-out") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        auto cancelled = once_asleep(on.backend_pid(), [pid = on.backend_pid()] {
            scalar(server().url(), "SELECT pg_cancel_backend(" + std::to_string(pid) + ")");
        });
        const error failed = co_await timed_out(on, 60s, "SELECT pg_sleep(60)");
        CHECK(cancelled.get());
        CHECK(failed.code() == sqlstate::query_canceled);
    });
}

TEST_CASE("HY-9: a connection without a session says so") {
    lone_connection none{nullptr};
    boost::asio::io_context context;
    const auto body = [&]() -> awaitable<void> {
        const error failed = co_await error_of(none.query("SELECT 1"));
        CHECK(failed.code() == pool_errc::lease_released);
    };
    run(context, body);
    CHECK(none.backend_pid() == 0);
    CHECK(none.server_parameter("TimeZone").empty());
}

}  // namespace
