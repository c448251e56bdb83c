#include "../integration/waiting.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

// A server that is down, and comes back.

namespace {

/// Knocks that the backoff allows within that time at most: half of 100, 200, 400 ms … up to `backoff_max`.
std::size_t most_knocks(steady_clock::duration within, std::chrono::milliseconds initial,
                        std::chrono::milliseconds longest) {
    std::size_t knocks = 1;
    steady_clock::duration at{0};
    for (auto delay = initial; (at += std::min(delay, longest) / 2) <= within; delay = std::min(delay * 2, longest)) {
        ++knocks;
    }
    return knocks;
}

/// What `start` throws.
asio::awaitable<error_code> start_of(pool& which) {
    error_code how;
    try {
        co_await which.start();
    } catch (const error& failed) {
        how = failed.code();
    }
    co_return how;
}

}  // namespace

TEST_CASE("RE-1: fail_fast says after its time that the server is down, and the pool goes on trying") {
    scripted_server server;
    server.stop_listening();
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.recovery.start = start_policy::fail_fast;
    settings.recovery.start_timeout = 300ms;
    pool pool{context.get_executor(), settings};
    error_code told;
    steady_clock::duration took{};
    run(context, [&]() -> asio::awaitable<void> {
        const auto began = steady_clock::now();
        told = co_await start_of(pool);
        took = steady_clock::now() - began;
        server.listen();
        const auto warm = [&] { return server.count().open == 2 && pool.stats().idle == 2; };
        const bool in_time = co_await reached(warm);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    CHECK(told == pool_errc::connect_failed);
    CHECK(took >= 300ms);
    CHECK(took < 30s);
}

TEST_CASE("RE-1: wait lets start wait through an outage and through a refused login, until the connections are open") {
    scripted_server server;
    server.greet_next(refuses("28P01", "password authentication failed"));
    server.stop_listening();
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.recovery.start = start_policy::wait;
    pool pool{context.get_executor(), settings};
    bool started = false;
    error_code how;
    const auto start = [&]() -> asio::awaitable<void> {
        how = co_await start_of(pool);
        started = true;
    };
    run(context, [&]() -> asio::awaitable<void> {
        asio::co_spawn(context, start(), asio::detached);
        co_await pause(300ms);
        CHECK_FALSE(started);
        CHECK(pool.last_connect_error() != nullptr);
        server.listen();
        const auto done = [&] { return started; };
        const bool in_time = co_await reached(done);
        CHECK(in_time);
        CHECK(server.count().ready == 2);
        co_await pool.close(1s);
    });
    CHECK_FALSE(how);
    CHECK(pool.last_connect_error() == nullptr);
}

TEST_CASE("RE-1: wait with a time-out says so when that is over") {
    scripted_server server;
    server.stop_listening();
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 1});
    settings.recovery.start = start_policy::wait;
    settings.recovery.start_timeout = 200ms;
    pool pool{context.get_executor(), settings};
    error_code how;
    run(context, [&]() -> asio::awaitable<void> {
        how = co_await start_of(pool);
        co_await pool.close(1s);
    });
    CHECK(how == pool_errc::connect_failed);
}

TEST_CASE("RE-1: lazy starts at once with the server down, says why there is no connection, and opens them later") {
    scripted_server server;
    server.stop_listening();
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.recovery.start = start_policy::lazy;
    pool pool{context.get_executor(), settings};
    error_code how;
    std::string why;
    run(context, [&]() -> asio::awaitable<void> {
        how = co_await start_of(pool);
        const auto failed = [&] { return pool.last_connect_error() != nullptr; };
        const bool known = co_await reached(failed);
        CHECK(known);
        why = pool.last_connect_error() ? pool.last_connect_error()->message : "";
        server.listen();
        const auto warm = [&] { return pool.stats().idle == 2; };  // nobody has asked
        const bool in_time = co_await reached(warm);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    CHECK_FALSE(how);
    CHECK_THAT(why, has_text("Connection refused"));
}

TEST_CASE("RE-2, RE-3: while the server is down one knocks for everybody, more and more seldom, however many wait") {
    scripted_server server;
    server.greet_with(stops_at(0, afterwards::close));  // taken and dropped: so each knock is counted there
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 10});
    settings.connect.backoff_initial = 100ms;
    settings.connect.backoff_max = 5s;
    settings.acquire.timeout = 120s;
    settings.recovery.fail_fast_after = std::nullopt;
    pool pool{context.get_executor(), settings};
    std::size_t knocks = 0;
    steady_clock::duration down{};
    run(context, [&]() -> asio::awaitable<void> {
        const auto began = steady_clock::now();
        for (int i = 0; i < 5'000; ++i) {
            pool.async_acquire([](error_code, const lease&) {});
        }
        co_await pause(1'800ms);
        knocks = server.count().accepted;
        down = steady_clock::now() - began;
        CHECK(pool.stats().waiting == 5'000);
        co_await pool.close(1s);
    });
    WARN(knocks << " knocks in " << milliseconds(down) << " ms");
    CHECK(knocks >= 2);
    CHECK(knocks <=
          most_knocks(down, 100ms, 5s) + 1);  // the first is two: the second was begun before the first failed
    CHECK(server.count().most_handshakes <= 2);
}

TEST_CASE(
    "RE-4, RE-5: a server that is back is met with one handshake, then two, and all who wait are served in order") {
    constexpr std::size_t clients = 2'000;
    scripted_server server;
    server.greet_with({.delay = 40ms});
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 12});
    settings.connect.max_connecting = 4;
    settings.connect.anticipation = 0ms;
    settings.acquire.timeout = 120s;
    settings.recovery.fail_fast_after = std::nullopt;
    pool pool{context.get_executor(), settings};
    std::vector<std::size_t> order;
    std::size_t failed = 0;
    const auto client = [&](std::size_t number) -> asio::awaitable<void> {
        try {
            const auto held = co_await pool.acquire();
            order.push_back(number);
            co_await held->query("SELECT 1");
        } catch (const error&) {
            ++failed;
        }
    };
    bool too_fast = false;
    run(context, [&]() -> asio::awaitable<void> {
        server.stop_listening();
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(i), asio::detached);
        }
        const auto down = [&] { return pool.stats().waiting == clients && pool.stats().dials_failed >= 3; };
        const bool is_down = co_await reached(down);
        CHECK(is_down);
        server.listen();
        const auto back_at = steady_clock::now();
        const auto all_told = [&] {
            const auto seen = server.count();
            too_fast = too_fast || seen.handshakes > (seen.ready == 0 ? 1U : seen.ready < 2 ? 2U : 4U);
            return order.size() + failed == clients;
        };
        const bool told = co_await reached(all_told);
        CHECK(told);
        WARN("all were served " << milliseconds(steady_clock::now() - back_at) << " ms after the server was back");
        co_await pool.close(1s);
    });
    CHECK(failed == 0);
    CHECK_FALSE(too_fast);
    CHECK(server.count().most_handshakes <= 4);
    CHECK(server.count().most_open <= 12);
    std::size_t out_of_turn = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {  // those that are served together may run in any order
        out_of_turn += order[i] < i + 12 && i < order[i] + 12 ? 0 : 1;
    }
    CHECK(out_of_turn == 0);
}

TEST_CASE("RE-3: with the usual settings never more than two handshakes, while the server is away and afterwards") {
    scripted_server server;
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 3, .max = 10});
    settings.acquire.timeout = 120s;
    pool pool{context.get_executor(), settings};
    std::size_t answered = 0;
    std::size_t failed = 0;
    const auto client = [&]() -> asio::awaitable<void> {
        error_code code;
        try {
            co_await pool.query("SELECT 1");
        } catch (const error& failure) {
            code = failure.code();
        }
        ++(code ? failed : answered);
    };
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int round = 0; round < 3; ++round) {
            server.stop_listening();
            server.end(afterwards::reset);
            const auto lost = [&] { return pool.stats().idle == 0 && pool.last_connect_error() != nullptr; };
            const bool down = co_await reached(lost);
            CHECK(down);
            for (int i = 0; i < 1'000; ++i) {
                asio::co_spawn(context, client(), asio::detached);
            }
            server.listen();
            const auto all = [&] { return answered + failed == 1'000U * static_cast<std::size_t>(round + 1); };
            const bool told = co_await reached(all);
            CHECK(told);
        }
        co_await pool.close(1s);
    });
    CHECK(failed == 0);
    CHECK(server.count().most_handshakes <= 2);
    CHECK(server.count().most_open <= 10);
}

TEST_CASE(
    "RE-6: in a long outage new callers are told so at once, those who wait wait on, and all is well afterwards") {
    scripted_server server;
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 2});
    settings.recovery.fail_fast_after = 300ms;
    pool pool{context.get_executor(), settings};
    bool parked_served = false;
    const auto park = [&]() -> asio::awaitable<void> {
        const auto held = co_await pool.acquire({.timeout = 120s});
        parked_served = true;
    };
    std::shared_ptr<const acquire_error> told;
    steady_clock::duration took{};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        server.stop_listening();
        server.end(afterwards::reset);
        const auto lost = [&] { return pool.last_connect_error() != nullptr && pool.stats().total <= 1; };
        const bool down = co_await reached(lost);
        CHECK(down);
        asio::co_spawn(context, park(), asio::detached);
        co_await pause(500ms);
        for (int i = 0; i < 100; ++i) {
            const auto began = steady_clock::now();
            told = co_await refusal(pool, {.timeout = 60s});
            took = std::max(took, steady_clock::now() - began);
        }
        CHECK_FALSE(parked_served);
        CHECK(pool.stats().waiting == 1);
        server.listen();
        const auto served = [&] { return parked_served; };
        const bool in_time = co_await reached(served);
        CHECK(in_time);
        co_await pool.query("SELECT 1");
        co_await pool.close(1s);
    });
    REQUIRE(told);
    CHECK(told->reason() == pool_errc::unavailable);
    REQUIRE(told->last_connect_error() != nullptr);
    CHECK_THAT(told->last_connect_error()->message, has_text("Connection refused"));
    CHECK(took < 10s);
    WARN("the slowest of 100 refusals took " << milliseconds(took) << " ms");
}
