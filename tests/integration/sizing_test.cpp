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
using std::chrono::steady_clock;

namespace {

/// Waits, and holds until it is told to leave.
asio::awaitable<void> hold_until(pool& from, const bool& told) {
    const auto held = co_await from.acquire();
    while (!told) {
        co_await pause(5ms);
    }
}

}  // namespace

TEST_CASE("SZ-2: an automatic size is the server's connections, and is read anew with the next that is opened") {
    postgres_server server{{.max_connections = 20}};
    asio::io_context context;
    auto settings = fixture::settings("automatic", {.min = 1, .max = 50});
    settings.connect.url = server.url();
    settings.size.automatic = automatic_size{.share = 0.5, .instances = 2};
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    std::vector<std::size_t> caps;
    std::vector<std::size_t> most;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int round = 0; round < 2; ++round) {
            bool leave = false;
            for (int i = 0; i < 30; ++i) {
                asio::co_spawn(context, hold_until(pool, leave), asio::detached);
            }
            plain_connection observer{server.url()};
            const auto all_lent = [&] { return pool.stats().leased == pool.stats().max; };
            const bool lent = co_await reached(all_lent);
            CHECK(lent);
            co_await pause(200ms);  // time enough to open one more
            caps.push_back(pool.stats().max);
            most.push_back(sessions_of(observer, "automatic"));
            leave = true;
            const auto all_served = [&] { return pool.stats().waiting == 0 && pool.stats().leased == 0; };
            const bool served = co_await reached(all_served);
            CHECK(served);
            if (round == 0) {
                observer.execute("ALTER SYSTEM SET max_connections = 40");
                server.restart();
                const auto back = [&] { return pool.stats().lost > 0 && pool.stats().idle > 0; };
                const bool back_in_time = co_await reached(back);
                CHECK(back_in_time);
            }
        }
        co_await pool.close(1s);
    });
    CHECK(caps == std::vector<std::size_t>{4, 9});  // floor((20 - 3) / 4), floor((40 - 3) / 4)
    CHECK(most == caps);
}

TEST_CASE("SZ-3: what the server kills is opened again without an acquire, in total and in idle ones") {
    asio::io_context context;
    auto settings = fixture::settings("floors", {.min = 3, .min_idle = 2, .max = 8});
    settings.connect.url = fixture::server().url();
    pool pool{context.get_executor(), settings};
    std::size_t with_two_out = 0;
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        co_await pool.start();
        CHECK(terminate_sessions_of(observer, "floors") == 3);
        const auto killed_at = steady_clock::now();
        const auto again = [&] { return pool.stats().lost == 3 && sessions_of(observer, "floors") == 3; };
        const bool restored = co_await reached(again);
        CHECK(restored);
        WARN("three floors restored after " << milliseconds(steady_clock::now() - killed_at) << " ms");

        auto held = co_await take(pool, 2);
        const auto two_idle = [&] { return pool.stats().idle == 2; };
        const bool kept_idle = co_await reached(two_idle);
        CHECK(kept_idle);
        with_two_out = sessions_of(observer, "floors");
        const auto pids = std::to_string(held[0]->backend_pid()) + ", " + std::to_string(held[1]->backend_pid());
        observer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'floors' "
                         "AND pid NOT IN (" +
                         pids + ")");
        const auto idle_again = [&] { return pool.stats().lost == 5 && pool.stats().idle == 2; };
        const bool idle_restored = co_await reached(idle_again);
        CHECK(idle_restored);
        CHECK(sessions_of(observer, "floors") == 4);
        held.clear();
        co_await pool.close(1s);
    });
    CHECK(with_two_out == 4);
}

TEST_CASE("SZ-4: a spike is served by the connections there are and one more") {
    scripted_server server;
    server.greet_with({.delay = 150ms});
    server.answer_with(answer{.delay = 2ms});
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 5, .max = 50});
    settings.connect.anticipation = GENERATE(20ms, 10'000ms);  // the default, and one that no slow machine outlasts
    pool pool{context.get_executor(), settings};
    int served = 0;
    const auto request = [&]() -> asio::awaitable<void> {
        co_await pool.query("UPDATE t");
        ++served;
    };
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 50; ++i) {
            asio::co_spawn(context, request(), asio::detached);
        }
        const auto all = [&] { return served == 50; };
        const bool all_served = co_await reached(all);
        CHECK(all_served);
        co_await pool.close(1s);
    });
    WARN("with an anticipation of " << settings.connect.anticipation.count() << " ms " << server.count().sessions
                                    << " sessions were opened");
    if (settings.connect.anticipation > 20ms) {
        CHECK(server.count().sessions <= 6);
    }
    CHECK(server.count().most_handshakes <= 2);
}

TEST_CASE("SZ-5, SZ-6: a connection that comes back while another is being opened serves the first who waits") {
    constexpr int trials = 10'000;
    scripted_server server;
    server.greet_next(accepts());
    server.greet_with(silent());
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 4});
    settings.connect.timeout = 300s;
    settings.acquire.timeout = 300s;
    pool pool{context.get_executor(), settings};
    int first_came_first = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < trials; ++i) {
            auto held = co_await pool.acquire();
            int served = 0;
            for (int who = 1; who <= 2; ++who) {
                pool.async_acquire(
                    [&, who](error_code, lease lent) { first_came_first += lent && ++served == who ? 1 : 0; });
            }
            held.release();
            while (served < 2) {
                co_await asio::post(context, asio::use_awaitable);
            }
        }
        co_await pool.close(1s);
    });
    CHECK(first_came_first == 2 * trials);
    CHECK(server.count().most_handshakes >= 1);  // one was being opened all the time
    CHECK(server.count().ready == 1);            // nobody else was there to serve them
    CHECK(server.count().most_handshakes <= 2);
}

TEST_CASE("SZ-9: more room is used at once, less room is given back when it is free, and no lease is broken") {
    scripted_server server;
    asio::io_context context;
    const auto narrow = fixture::settings_on(server, {.min = 0, .max = 1});
    auto wide = narrow;
    wide.size.max = 4;
    pool pool{context.get_executor(), narrow};
    error_code while_surplus;
    std::size_t open_with_two_out = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto first = co_await pool.acquire();
        lease second;
        pool.async_acquire({.timeout = 60s}, [&](error_code, lease lent) { second = std::move(lent); });
        const auto grown_at = steady_clock::now();
        pool.reconfigure(wide);
        const auto has_second = [&] { return static_cast<bool>(second); };
        const bool served = co_await reached(has_second);
        CHECK(served);
        WARN("the new connection was accepted " << milliseconds(server.accepts().at(1) - grown_at)
                                                << " ms after the call");
        auto others = co_await take(pool, 2);
        others.clear();

        const auto shrunk_at = steady_clock::now();
        pool.reconfigure(narrow);
        const auto idle_gone = [&] { return server.count().open == 2; };
        const bool closed = co_await reached(idle_gone);
        CHECK(closed);
        WARN("two idle connections were closed " << milliseconds(steady_clock::now() - shrunk_at)
                                                 << " ms after the call");
        open_with_two_out = server.count().open;
        while_surplus = co_await outcome_of(*second, "SELECT 1");
        second.release();
        const auto one_left = [&] { return server.count().open == 1; };
        const bool surplus_gone = co_await reached(one_left);
        CHECK(surplus_gone);
        const auto still_well = co_await outcome_of(*first, "SELECT 1");
        CHECK_FALSE(still_well);
        first.release();
        co_await pool.close(1s);
    });
    CHECK_FALSE(while_surplus);
    CHECK(open_with_two_out == 2);
    CHECK(server.count().most_open == 4);
}
