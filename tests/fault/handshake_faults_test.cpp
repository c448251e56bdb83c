#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"
#include "support/scripted_server.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

pool_settings settings_on(const scripted_server& server, size_settings size) {
    pool_settings settings;
    settings.name = "scripted";
    settings.size = size;
    settings.connect.url = server.url();
    settings.connect.backoff_initial = 10ms;
    settings.connect.backoff_max = 50ms;
    return settings;
}

/// What an acquire that fails says.
struct refusal {
    pool_errc reason{};
    std::string what;
    connect_failure last;
};

refusal refused_by(const scripted_server& server, std::chrono::milliseconds timeout) {
    asio::io_context context;
    auto settings = settings_on(server, {.min = 0, .max = 2});
    settings.acquire.timeout = timeout;
    pool pool{context.get_executor(), settings};
    refusal seen;
    run(context, [&]() -> asio::awaitable<void> {
        try {
            auto lease = co_await pool.acquire();
        } catch (const acquire_error& refused) {
            seen.reason = refused.reason();
            seen.what = refused.what();
            if (refused.last_connect_error() != nullptr) {
                seen.last = *refused.last_connect_error();
            }
        }
        co_await pool.close(1s);
    });
    return seen;
}

}  // namespace

TEST_CASE("RE-12: a server that accepts and never answers costs one dial, for no longer than connect.timeout") {
    scripted_server server;
    server.greet_next(silent());
    asio::io_context context;
    auto settings = settings_on(server, {.min = 0, .max = 2});
    settings.connect.timeout = 300ms;
    settings.connect.max_connecting = 1;
    settings.acquire.timeout = 30s;
    pool pool{context.get_executor(), settings};
    std::int32_t got = 0;
    run(context, [&]() -> asio::awaitable<void> {
        const auto rows = co_await pool.query("SELECT 1");
        got = rows[0].get<std::int32_t>(0);
        co_await pool.close(1s);
    });
    CHECK(got == 1);
    const auto seen = server.count();
    CHECK(seen.accepted == 2);
    CHECK(seen.ready == 1);
    CHECK(seen.most_handshakes == 1);  // the silent one was given up before the next was dialed
    const auto at = server.accepts();
    REQUIRE(at.size() == 2);
    CHECK(at[1] - at[0] >= 250ms);
    CHECK(at[1] - at[0] < 10s);
    CHECK(server.session(1).texts().back() == "SELECT 1");
}

TEST_CASE("RE-12: beside a server's silent connection another dial serves who waits") {
    scripted_server server;
    server.greet_next(silent());
    asio::io_context context;
    auto settings = settings_on(server, {.min = 2, .max = 4});
    settings.connect.timeout = 20s;
    settings.connect.max_connecting = 2;
    settings.acquire.timeout = 10s;
    pool pool{context.get_executor(), settings};
    bool served = false;
    const auto start = [&]() -> asio::awaitable<void> {
        try {
            co_await pool.start();
        } catch (const error&) {
            // It is closed meanwhile: its minimum waits for the silent one.
        }
    };
    run(context, [&]() -> asio::awaitable<void> {
        asio::co_spawn(context, start(), asio::detached);
        {
            auto lease = co_await pool.acquire();
            served = true;
        }
        co_await pool.close(1s);
    });
    CHECK(served);
    CHECK(server.wait_for([&] { return server.count().open == 0; }));
}

TEST_CASE(
    "what the server says to a login reaches who waits for a connection: overloaded or starting, at the deadline") {
    const auto [code, words] = GENERATE(table<std::string, std::string>({
        {"53300", "sorry, too many clients already"},
        {"57P03", "the database system is starting up"},
    }));
    scripted_server server;
    server.greet_with(refuses(code, words));
    const auto seen = refused_by(server, 300ms);
    CHECK(seen.reason == pool_errc::acquire_timeout);
    CHECK(seen.last.sqlstate == code);
    CHECK_THAT(seen.last.message, has_text(words));
    CHECK_THAT(seen.what, has_text(words));
    CHECK(seen.what.find("secret") == std::string::npos);
    CHECK(server.count().most_open <= 2);
    CHECK(server.count().ready == 0);
}

TEST_CASE("AQ-14: what the server says to a login reaches who waits for a connection: a refused login, at once") {
    const auto [code, words, reason] = GENERATE(table<std::string, std::string, pool_errc>({
        {"28P01", "password authentication failed for user \"user\"", pool_errc::auth_failed},
        {"28000", "no pg_hba.conf entry for host", pool_errc::auth_failed},
        {"3D000", "database \"db\" does not exist", pool_errc::unavailable},
    }));
    scripted_server server;
    server.greet_with(refuses(code, words));
    const auto begin = steady_clock::now();
    const auto seen = refused_by(server, 60s);
    CHECK(seen.reason == reason);
    CHECK(seen.last.sqlstate == code);
    CHECK_THAT(seen.what, has_text(words));
    CHECK(steady_clock::now() - begin < 30s);
}

TEST_CASE("who waits for a connection hears of a server that is no PostgreSQL, and of one that cuts every handshake") {
    scripted_server server;
    SECTION("no PostgreSQL") {
        server.greet_with(sends("HTTP/1.1 400 Bad Request\r\n\r\n", afterwards::close));
        const auto seen = refused_by(server, 300ms);
        CHECK(seen.reason == pool_errc::acquire_timeout);
        CHECK(seen.last.code == pool_errc::connect_failed);
        CHECK_THAT(seen.last.message, has_text("expected authentication request"));
    }
    SECTION("cut") {
        server.greet_with([](std::size_t session) { return stops_at(session % 50, afterwards::close); });
        const auto seen = refused_by(server, 300ms);
        CHECK(seen.reason == pool_errc::acquire_timeout);
        CHECK(seen.last.code == pool_errc::connect_failed);
        CHECK_THAT(seen.last.message, has_text("closed the connection unexpectedly"));
    }
    CHECK(server.wait_for([&] { return server.count().connections == 0; }));
}
