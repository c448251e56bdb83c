#include "../integration/closed_loop.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

TEST_CASE("SZ-3, LC-11: a killed idle session is noticed, and the minimum is restored without an acquire") {
    asio::io_context context;
    pool pool{context.get_executor(), settings_on(fixture::server(), "kill_idle", {.min = 3, .max = 5})};
    bool restored = false;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        plain_connection observer{fixture::server().url()};
        CHECK(terminate_sessions_of(observer, "kill_idle") == 3);
        const auto again = [&] { return pool.stats().lost == 3 && pool.stats().idle == 3; };
        restored = co_await reached(again);
        co_await pool.close(1s);
    });
    CHECK(restored);
}

TEST_CASE("a query whose session is killed fails once with the server's words, and its caller may go on") {
    asio::io_context context;
    pool pool{context.get_executor(), settings_on(fixture::server(), "kill_busy", {.min = 1, .max = 2})};
    std::string state;
    error_code code;
    std::int32_t afterwards = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        const auto killer = [&]() -> asio::awaitable<void> {
            plain_connection observer{fixture::server().url()};
            const auto sleeping = [&] {
                return observer.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kill_busy' AND "
                                      "query LIKE '%pg_sleep%' AND state = 'active'") == 1;
            };
            const bool sleeping_in_time = co_await reached(sleeping);
            CHECK(sleeping_in_time);
            terminate_sessions_of(observer, "kill_busy");
        };
        asio::co_spawn(context, killer(), asio::detached);
        try {
            co_await pool.query("SELECT pg_sleep(60)");
        } catch (const error& failure) {
            state = failure.sqlstate();
            code = failure.code();
        }
        const auto rows = co_await pool.query("SELECT 7");
        afterwards = rows[0].get<std::int32_t>(0);
        co_await pool.close(1s);
    });
    CHECK(state == "57P01");
    CHECK(code == errc::connection_lost);
    CHECK(afterwards == 7);
}

TEST_CASE("a server that stops and starts again under load loses nobody") {
    postgres_server server;
    fault_proxy front{server};  // which counts the dials
    asio::io_context context;
    auto settings =
        settings_on(front.url(server, "sslmode=disable&gssencmode=disable"), "restart", {.min = 5, .max = 10});
    settings.acquire.timeout = 30s;
    pool pool{context.get_executor(), settings};
    closed_loop seen{pool, "SELECT 1"};
    std::size_t dials_while_down = 0;
    bool served_again = false;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        seen.add(context.get_executor(), 500);
        const auto warm = [&] { return seen.answered > 2'000; };
        const bool warm_in_time = co_await reached(warm);
        CHECK(warm_in_time);
        server.stop(stop_mode::immediate);
        const auto dials_before = front.counts().accepted;
        co_await pause(2s);
        dials_while_down = front.counts().accepted - dials_before;
        CHECK(pool.stats().waiting == 500);  // nobody failed who had only been waiting
        server.start();
        const auto answered_before = seen.answered;
        const auto served = [&] { return seen.answered > answered_before + 2'000; };
        served_again = co_await reached(served);
        const bool all_ended_in_time = co_await seen.end();
        CHECK(all_ended_in_time);
        co_await pool.close(1s);
    });
    CHECK(served_again);
    CHECK(seen.begun == seen.answered + seen.failed);
    CHECK(seen.failed >= 1);
    CHECK(seen.failed <= 10);  // those that were in flight, each once
    for (const auto& [code, count] : seen.failures) {
        INFO(code.message() << ": " << count);
        CHECK_FALSE(code.message().empty());
    }
    CHECK(front.counts().most_handshakes <= 2);
    CHECK(dials_while_down <= 8);  // 100, 200, 400, 800 ms … each at least half: 0, 50, 150, 350, 750, 1550 ms
}

TEST_CASE("a refused password is told at once, in the server's own words") {
    asio::io_context context;
    auto settings = settings_on(fixture::server(), "password", {.min = 1, .max = 2});
    settings.connect.url = fixture::server().url_with_password("wrong");
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    error_code start_code;
    std::string start_words;
    std::string acquire_words;
    std::string cause;
    const auto began = std::chrono::steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        try {
            co_await pool.start();
        } catch (const error& refused) {
            start_code = refused.code();
            start_words = refused.what();
        }
        try {
            auto lease = co_await pool.acquire();
        } catch (const acquire_error& refused) {
            acquire_words = refused.what();
            cause = refused.last_connect_error() == nullptr ? "" : refused.last_connect_error()->sqlstate;
        }
        co_await pool.close(1s);
    });
    CHECK(start_code == sqlstate::invalid_password);
    CHECK(start_code == errc::login_refused);
    CHECK(start_words.find("password authentication failed") != std::string::npos);
    CHECK(acquire_words.find("password authentication failed") != std::string::npos);
    CHECK(start_words.ends_with("(SQLSTATE 28P01 (invalid password))"));
    CHECK(cause == "28P01");
    CHECK(start_words.find("wrong") == std::string::npos);
    CHECK(std::chrono::steady_clock::now() - began < 20s);
}

TEST_CASE("RE-7: a full server is waited out, and nobody fails before the deadline") {
    postgres_server server{{.max_connections = 10}};
    asio::io_context context;
    auto settings = settings_on(server, "full", {.min = 0, .max = 20});
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    closed_loop seen{pool, "SELECT 1"};
    run(context, [&]() -> asio::awaitable<void> {
        seen.add(context.get_executor(), 100);
        const auto enough = [&] { return seen.answered > 3'000 && pool.stats().dials_failed > 1; };
        const bool enough_in_time = co_await reached(enough);
        CHECK(enough_in_time);
        const bool all_ended_in_time = co_await seen.end();
        CHECK(all_ended_in_time);
        co_await pool.close(1s);
    });
    CHECK(seen.failed == 0);
}
