#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

TEST_CASE("RE-10: thousands who wait through a suspension are served afterwards, in order, without an error") {
    constexpr std::size_t clients = 10'000;
    const bool hold_deadlines = GENERATE(false, true);
    asio::io_context context;
    auto settings = fixture::settings("suspended", {.min = 2, .max = 2});
    settings.acquire.timeout = 120s;
    pool pool{context.get_executor(), settings};
    std::size_t failed = 0;
    std::vector<std::size_t> order;
    const auto client = [&](std::size_t number) -> asio::awaitable<void> {
        try {
            const auto held = co_await pool.acquire();
            order.push_back(number);
        } catch (const error&) {
            ++failed;
        }
    };
    std::size_t served_meanwhile = 0;
    error_code of_a_lease;
    pool_state state_meanwhile{};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto held = co_await pool.acquire();
        pool.suspend({.hold_deadlines = hold_deadlines});
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(i), asio::detached);
        }
        const auto all_wait = [&] { return pool.stats().waiting == clients; };
        const bool waiting = co_await reached(all_wait);
        CHECK(waiting);
        of_a_lease = co_await outcome_of(*held, "SELECT pg_sleep(0.2)");
        held.release();
        co_await pause(300ms);
        state_meanwhile = pool.state();
        served_meanwhile = order.size();
        CHECK_FALSE(pool.try_acquire());
        pool.resume();
        const auto all_told = [&] { return order.size() + failed == clients; };
        const bool told = co_await reached(all_told);
        CHECK(told);
        co_await pool.close(1s);
    });
    CHECK(failed == 0);
    CHECK_FALSE(of_a_lease);
    CHECK(served_meanwhile == 0);
    CHECK(state_meanwhile == pool_state::suspended);
    std::size_t inversions = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        inversions += order[i] == i ? 0 : 1;
    }
    CHECK(inversions == 0);
}

TEST_CASE("RE-10: while the pool is suspended deadlines pass, or are held, as it was told") {
    const bool hold_deadlines = GENERATE(false, true);
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("deadlines", {.min = 1, .max = 1})};
    std::size_t suspended = 0;
    std::size_t served = 0;
    std::size_t other = 0;
    const auto client = [&]() -> asio::awaitable<void> {
        error_code code;
        try {
            const auto held = co_await pool.acquire({.timeout = 300ms});
        } catch (const error& refused) {
            code = refused.code();
        }
        served += code ? 0 : 1;
        suspended += code == pool_errc::suspended ? 1 : 0;
        other += code && code != pool_errc::suspended ? 1 : 0;
    };
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto held = co_await pool.acquire();
        for (int i = 0; i < 50; ++i) {  // before the suspension …
            asio::co_spawn(context, client(), asio::detached);
        }
        const auto half_wait = [&] { return pool.stats().waiting == 50; };
        const bool half = co_await reached(half_wait);
        CHECK(half);
        pool.suspend({.hold_deadlines = hold_deadlines});
        held.release();
        for (int i = 0; i < 50; ++i) {  // … and during it
            asio::co_spawn(context, client(), asio::detached);
        }
        if (hold_deadlines) {
            co_await pause(600ms);
            CHECK(suspended + other + served == 0);
            CHECK(pool.stats().waiting == 100);
        }
        if (!hold_deadlines) {
            const auto all_told = [&] { return suspended == 100; };
            const bool told = co_await reached(all_told);
            CHECK(told);
        }
        pool.resume();
        const auto all_ended = [&] { return suspended + served + other == 100; };
        const bool ended = co_await reached(all_ended);
        CHECK(ended);
        co_await pool.close(1s);
    });
    CHECK(other == 0);
    CHECK(suspended == (hold_deadlines ? 0 : 100));
}

TEST_CASE("RE-10: a suspended pool opens nothing, and closes as ever") {
    scripted_server server;
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 2, .max = 2})};
    error_code told;
    run(context, [&]() -> asio::awaitable<void> {
        pool.suspend();
        pool.async_acquire({.timeout = 60s}, [&](error_code code, const lease&) { told = code; });
        co_await pause(200ms);
        CHECK(server.count().accepted == 0);
        co_await pool.close(1s);
    });
    CHECK(told == pool_errc::closed);
    CHECK(server.count().accepted == 0);
}
