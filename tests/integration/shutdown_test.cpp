#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

std::ptrdiff_t open_descriptors() {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{});
}

asio::awaitable<void> close_of(pool& which, std::chrono::milliseconds grace, std::atomic<int>& ended) {
    co_await which.close(grace);
    ++ended;
}

}  // namespace

TEST_CASE("SH-1: close tells ten thousand who wait, at once and each exactly once") {
    constexpr std::size_t clients = 10'000;
    asio::io_context context;
    auto settings = fixture::settings("told", {.min = 1, .max = 1});
    settings.acquire.timeout = 120s;
    pool pool{context.get_executor(), settings};
    std::size_t told = 0;
    std::size_t other = 0;
    steady_clock::time_point last{};
    const auto client = [&]() -> asio::awaitable<void> {
        error_code code;
        try {
            const auto held = co_await pool.acquire();
        } catch (const error& refused) {
            code = refused.code();
        }
        ++(code == pool_errc::closed ? told : other);
        last = steady_clock::now();
    };
    steady_clock::time_point closed_at{};
    std::atomic<int> closes{0};
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(), asio::detached);
        }
        const auto all_wait = [&] { return pool.stats().waiting == clients; };
        const bool waiting = co_await reached(all_wait);
        CHECK(waiting);
        closed_at = steady_clock::now();
        asio::co_spawn(context, close_of(pool, 60s, closes), asio::detached);
        const auto all_told = [&] { return told + other == clients; };
        const bool in_time = co_await reached(all_told);
        CHECK(in_time);
        CHECK(closes == 0);  // the lease is out
        const auto still_well = co_await outcome_of(*held, "SELECT 1");
        CHECK_FALSE(still_well);
        held.release();
    });
    CHECK(told == clients);
    CHECK(closes == 1);
    CHECK(last - closed_at < 30s);
    WARN("ten thousand were told within " << milliseconds(last - closed_at) << " ms");
}

TEST_CASE("SH-2: after the grace statements are stopped, and close ends although nobody gives his lease back") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("grace", {.min = 2, .max = 2})};
    error_code of_statement;
    steady_clock::duration took{};
    std::size_t sessions = 1;
    std::optional<lease> forgotten;
    const auto holder = [&](lease held) -> asio::awaitable<void> {
        of_statement = co_await outcome_of(*held, "SELECT pg_sleep(600)");
        forgotten = std::move(held);
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto idle = co_await pool.acquire();
        auto busy = co_await pool.acquire();
        asio::co_spawn(context, holder(std::move(busy)), asio::detached);
        const auto began = steady_clock::now();
        co_await pool.close(200ms);
        took = steady_clock::now() - began;
        sessions = fixture::sessions("grace");
    });
    forgotten.reset();
    CHECK(of_statement == pool_errc::closed);
    CHECK(took >= 200ms);
    CHECK(took < 30s);
    WARN("close with a grace of 200 ms took " << milliseconds(took) << " ms");
    CHECK(sessions == 0);
    CHECK(pool.stats().total == 0);
}

TEST_CASE("SH-3: close gives up dials that hang in their handshake, at once") {
    scripted_server server;
    server.greet_with(GENERATE(silent(), stops_at(20, afterwards::hang)));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.connect.timeout = 300s;
    settings.acquire.timeout = 300s;
    pool pool{context.get_executor(), settings};
    error_code of_start;
    error_code of_waiter;
    const auto start = [&]() -> asio::awaitable<void> {
        try {
            co_await pool.start();
        } catch (const error& failed) {
            of_start = failed.code();
        }
    };
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        asio::co_spawn(context, start(), asio::detached);
        pool.async_acquire([&](error_code code, const lease&) { of_waiter = code; });
        const auto both = [&] { return server.count().handshakes == 2; };
        const bool dialing = co_await reached(both);
        CHECK(dialing);
        co_await pool.close(300s);
    });
    CHECK(steady_clock::now() - began < 60s);
    CHECK(of_start == pool_errc::closed);
    CHECK(of_waiter == pool_errc::closed);
    CHECK(server.wait_for([&] { return server.count().connections == 0; }));
}

TEST_CASE("SH-4: close may be called again, from anywhere, and every call sees the same end") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("again", {.min = 3, .max = 3})};
    std::atomic<int> ended{0};
    std::atomic<int> too_early{0};
    run(
        context,
        [&]() -> asio::awaitable<void> {
            co_await pool.start();
            auto held = co_await pool.acquire();
            for (int i = 0; i < 20; ++i) {
                asio::co_spawn(context, close_of(pool, 60s, ended), asio::detached);
            }
            co_await pause(100ms);
            too_early = ended.load();
            held.release();
            co_await pool.close(0s);
            CHECK(pool.stats().total == 0);
            co_await pool.close(60s);  // and long afterwards
        },
        4);
    CHECK(too_early == 0);
    CHECK(ended == 20);
    CHECK(pool.state() == pool_state::closed);
    CHECK(fixture::sessions("again") == 0);
}

TEST_CASE("SH-5: after close no descriptor is left, and the context has nothing to do") {
    asio::io_context context;
    plain_connection warm{fixture::url()};  // whatever is opened once in a process
    std::ptrdiff_t before = 0;
    std::size_t left_to_do = 1;
    for (int round = 0; round < 3; ++round) {
        pool pool{context.get_executor(), fixture::settings("nothing_left", {.min = 2, .max = 8})};
        const auto client = [&]() -> asio::awaitable<void> { co_await pool.query("SELECT pg_sleep(0.001)"); };
        run(context, [&]() -> asio::awaitable<void> {
            co_await pool.start();
            for (int i = 0; i < 100; ++i) {
                asio::co_spawn(context, client(), asio::detached);
            }
            const auto all = [&] { return pool.stats().waiting == 0 && pool.stats().leased == 0; };
            const bool served = co_await reached(all);
            CHECK(served);
            co_await pool.close(10s);
        });
        context.restart();
        left_to_do = context.poll();
        if (round == 0) {
            before = open_descriptors();  // the reactor's own stay with the context
        }
        CHECK(left_to_do == 0);
    }
    CHECK(open_descriptors() <= before);
    CHECK(fixture::sessions("nothing_left") == 0);
}

TEST_CASE("SH-5: a pool that was closed, and its context, leave no descriptor behind") {
    const auto before = [] {
        const plain_connection warm{fixture::url()};
        return open_descriptors();
    };
    const auto open_before = before() - 1;  // its own
    {
        asio::io_context context;
        pool pool{context.get_executor(), fixture::settings("no_descriptor", {.min = 4, .max = 4})};
        run(context, [&]() -> asio::awaitable<void> {
            co_await pool.start();
            auto loser = co_await pool.acquire();
            co_await outcome_of(*loser, "SELECT pg_terminate_backend(pg_backend_pid())");
            loser.release();
            co_await pool.query("SELECT 1");
            co_await pool.close(1s);
        });
    }
    CHECK(open_descriptors() <= open_before);
}

TEST_CASE("SH-6: a lease is valid to use and to destroy after its pool") {
    asio::io_context context;
    std::optional<lease> late;
    std::int32_t answer = 0;
    run(context, [&]() -> asio::awaitable<void> {
        std::optional<pool> one{std::in_place, context.get_executor(),
                                fixture::settings("late_lease", {.min = 1, .max = 3})};
        auto first = co_await one->acquire();
        auto second = co_await one->acquire();
        late = std::move(second);
        one.reset();
        const auto rows = co_await first->query("SELECT 42");
        answer = rows[0].get<std::int32_t>(0);
        co_await first->query("BEGIN");
        first.release();
        late.reset();
    });
    CHECK(answer == 42);
    CHECK(fixture::sessions("late_lease") == 0);
}

TEST_CASE("SH-7: before it closes the pool says that it is draining, and goes on lending") {
    asio::io_context context;
    auto settings = fixture::settings("draining", {.min = 1, .max = 1});
    settings.close.preclose_delay = 500ms;
    pool pool{context.get_executor(), settings};
    std::atomic<int> closes{0};
    std::vector<pool_state> states;
    std::size_t served = 0;
    steady_clock::duration took{};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        states.push_back(pool.state());
        const auto began = steady_clock::now();
        asio::co_spawn(context, close_of(pool, 1s, closes), asio::detached);
        co_await asio::post(context, asio::use_awaitable);
        asio::co_spawn(context, close_of(pool, 1s, closes), asio::detached);
        while (pool.state() == pool_state::open) {
            co_await asio::post(context, asio::use_awaitable);
        }
        states.push_back(pool.state());
        auto refused = false;
        while (!refused) {
            try {
                co_await pool.query("SELECT 1");
                ++served;
            } catch (const error& failed) {
                refused = true;
                CHECK(failed.code() == pool_errc::closed);
            }
        }
        took = steady_clock::now() - began;
        states.push_back(pool.state());
    });
    CHECK(states == std::vector<pool_state>{pool_state::open, pool_state::draining, pool_state::closed});
    CHECK(served > 0);
    CHECK(took >= 500ms);
    CHECK(closes == 2);
}
