#include "closed_loop.hpp"
#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/sanitizer.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

#ifdef TRUNKLINE_TEST_SANITIZED
constexpr std::uint64_t hand_overs = 50'000;
#else
constexpr std::uint64_t hand_overs = 1'000'000;
#endif

/// A pool of one connection, so that hand-overs come one after another on however many threads.
pool_settings one_line(const std::string& application) {
    auto settings = fixture::settings(application, {.min = 1, .max = 1});
    settings.acquire.timeout = 300s;
    return settings;
}

}  // namespace

TEST_CASE("AQ-2, AQ-4: ten thousand coroutines are served in the order in which they came, and nobody slips in") {
    constexpr int clients = 10'000;
    const auto threads = GENERATE(std::size_t{1}, std::size_t{4});
    asio::io_context context;
    const auto in_turn = asio::make_strand(context);  // they come one after another, on however many threads
    pool pool{context.get_executor(), one_line("order")};
    std::vector<int> order;  // guarded by the lease: there is one
    std::atomic<int> served{0};
    std::atomic<int> slipped_in{0};
    std::atomic<int> failed{0};
    const auto client = [&](int number) -> asio::awaitable<void> {
        try {
            const auto held = co_await pool.acquire();
            order.push_back(number);
            ++served;
        } catch (const error&) {
            ++failed;
            ++served;
        }
    };
    run(
        context,
        [&]() -> asio::awaitable<void> {
            auto held = co_await pool.acquire();
            for (int i = 0; i < clients; ++i) {
                asio::co_spawn(in_turn, client(i), asio::detached);
            }
            while (pool.stats().waiting < clients) {
                co_await pause(2ms);
            }
            held.release();
            while (served < clients) {
                if (pool.try_acquire() && served < clients) {
                    ++slipped_in;
                }
                co_await asio::post(context, asio::use_awaitable);
            }
            co_await pool.close(1s);
        },
        threads);
    CHECK(failed == 0);
    CHECK(slipped_in == 0);
    REQUIRE(order.size() == clients);
    int inversions = 0;
    for (int i = 0; i < clients; ++i) {
        inversions += order[static_cast<std::size_t>(i)] == i ? 0 : 1;
    }
    CHECK(inversions == 0);
    CHECK(pool.stats().granted == clients + 1);  // and the one before them, for whom the connection was opened
}

TEST_CASE("AQ-2: in a million hand-overs nobody comes before one who waited longer") {
    constexpr std::uint64_t clients = 1'000;
    asio::io_context context;
    pool pool{context.get_executor(), one_line("turns")};
    std::uint64_t came = 0;
    std::uint64_t served = 0;
    std::uint64_t inversions = 0;
    std::uint64_t active = clients;
    const auto client = [&]() -> asio::awaitable<void> {
        while (served < hand_overs) {
            const auto turn = came++;  // the acquire below is in the queue before anybody else runs
            const auto held = co_await pool.acquire();
            inversions += turn == served ? 0 : 1;
            ++served;
        }
        --active;
    };
    std::uint64_t immediate = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        immediate = pool.stats().immediate;
        for (std::uint64_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(), asio::detached);
        }
        const auto all_wait = [&] { return pool.stats().waiting == clients; };
        const bool waiting = co_await reached(all_wait);
        CHECK(waiting);
        held.release();
        const auto all_left = [&] { return active == 0; };
        const bool left = co_await reached(all_left, 300s);
        CHECK(left);
        co_await pool.close(1s);
    });
    CHECK(inversions == 0);
    CHECK(served >= hand_overs);
    CHECK(pool.stats().granted >= hand_overs);
    CHECK(pool.stats().immediate == immediate);  // all of them had waited
}

TEST_CASE("AQ-16: nobody is resumed inside another's release, and everybody on his own executor") {
    constexpr int trials = 2'000;
    asio::io_context context;
    asio::thread_pool elsewhere{1};
    pool pool{context.get_executor(), one_line("resumption")};
    bool releasing = false;
    int inside_release = 0;
    int served = 0;
    const auto client = [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        inside_release += releasing ? 1 : 0;
        ++served;
        releasing = true;
        held.release();
        releasing = false;
    };
    std::atomic<bool> on_own_thread = false;
    std::atomic<bool> ended = false;
    const auto foreigner = [&]() -> asio::awaitable<void> {
        const auto mine = std::this_thread::get_id();
        const auto held = co_await pool.acquire();
        on_own_thread = std::this_thread::get_id() == mine;
        ended = true;
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int i = 0; i < trials; ++i) {
            asio::co_spawn(context, client(), asio::detached);
        }
        asio::co_spawn(elsewhere, foreigner(), asio::detached);
        const auto all_wait = [&] { return pool.stats().waiting == trials + 1; };
        const bool waiting = co_await reached(all_wait);
        CHECK(waiting);
        releasing = true;
        held.release();
        releasing = false;
        const auto all_served = [&] { return served == trials && ended; };
        const bool done = co_await reached(all_served);
        CHECK(done);
        co_await pool.close(1s);
    });
    elsewhere.join();
    CHECK(inside_release == 0);
    CHECK(on_own_thread);
}

TEST_CASE("AQ-7: the call beyond max_waiting is refused at once, and those before it are served") {
    asio::io_context context;
    auto settings = one_line("bounded");
    settings.acquire.max_waiting = 100;
    pool pool{context.get_executor(), settings};
    int served = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int i = 0; i < 100; ++i) {
            pool.async_acquire([&](error_code code, const lease&) { served += code ? 0 : 1; });
        }
        const auto asked_at = steady_clock::now();
        const auto refused = co_await refusal(pool);
        const auto took = steady_clock::now() - asked_at;
        REQUIRE(refused);
        CHECK(refused->reason() == pool_errc::queue_full);
        CHECK(refused->stats().waiting == 100);
        CHECK(took < 5s);
        WARN("refused after " << milliseconds(took) << " ms");
        held.release();
        const auto all = [&] { return served == 100; };
        const bool all_served = co_await reached(all);
        CHECK(all_served);
        co_await pool.close(1s);
    });
    CHECK(pool.stats().rejected == 1);
}

TEST_CASE(
    "AQ-8: with slow queries newcomers are refused as soon as the queue has stood for an interval, and no later") {
    scripted_server server;
    server.answer_with(answer{.delay = 20ms});
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 1});
    settings.acquire.shed_target = 10ms;
    settings.acquire.shed_interval = 200ms;
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    const auto began = steady_clock::now();
    closed_loop clients{pool, "UPDATE t"};
    error_code afterwards;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        clients.add(context.get_executor(), 20, 5ms);
        const auto sheds = [&] { return clients.failed > 20 && clients.answered > 10; };
        const bool shed = co_await reached(sheds);
        CHECK(shed);
        const bool gone = co_await clients.end();
        CHECK(gone);
        try {
            co_await pool.query("UPDATE t");  // nobody waits any more: it is over
        } catch (const error& failed) {
            afterwards = failed.code();
        }
        co_await pool.close(1s);
    });
    const auto refused = clients.failures[pool_errc::overloaded];
    CHECK(clients.failed == refused);
    CHECK(clients.first_failure - began >= 200ms);
    CHECK_FALSE(afterwards);
    CHECK(pool.stats().overloaded == refused);
}

TEST_CASE("AQ-9: try_acquire takes what is free and never waits") {
    asio::io_context context;
    pool pool{context.get_executor(), one_line("try")};
    bool before_any = true;
    bool one_free = false;
    bool none_free = true;
    bool past_a_waiter = true;
    run(context, [&]() -> asio::awaitable<void> {
        before_any = pool.try_acquire().has_value();  // it opens nothing either
        co_await pool.start();
        {
            auto held = pool.try_acquire();
            one_free = held.has_value() && held->operator bool();
            none_free = pool.try_acquire().has_value();
        }
        auto held = co_await pool.acquire();
        lease waiter;
        pool.async_acquire([&](error_code, lease lent) { waiter = std::move(lent); });
        held.release();
        past_a_waiter = pool.try_acquire().has_value();
        const auto has_it = [&] { return static_cast<bool>(waiter); };
        const bool served = co_await reached(has_it);
        CHECK(served);
        waiter.release();
        co_await pool.close(1s);
    });
    CHECK_FALSE(before_any);
    CHECK(one_free);
    CHECK_FALSE(none_free);
    CHECK_FALSE(past_a_waiter);
}
