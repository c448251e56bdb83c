#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <set>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

TEST_CASE("start opens the minimum, and the server has no more sessions than that") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("start", {.min = 3, .max = 5})};
    std::size_t sessions = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        sessions = fixture::sessions("start");
        co_await pool.close(1s);
    });
    CHECK(sessions == 3);
    CHECK(fixture::sessions("start") == 0);
}

TEST_CASE("a pool that was not started opens a connection when somebody asks") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("lazy", {.min = 3, .max = 5})};
    std::int32_t answer = 0;
    std::size_t sessions = 0;
    run(context, [&]() -> asio::awaitable<void> {
        {
            auto lease = co_await pool.acquire();
            const auto rows = co_await lease->query("SELECT 6 * 7");
            answer = rows[0].get<std::int32_t>(0);
        }
        sessions = fixture::sessions("lazy");
        co_await pool.close(1s);
    });
    CHECK(answer == 42);
    CHECK(sessions == 1);
}

TEST_CASE("AQ-3: a returned connection is used again, the latest first") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("lifo", {.min = 3, .max = 3})};
    std::set<int> pids;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 10; ++i) {
            auto lease = co_await pool.acquire();
            co_await lease->query("SELECT 1");
            pids.insert(lease->backend_pid());
        }
        co_await pool.close(1s);
    });
    CHECK(pids.size() == 1);
}

TEST_CASE("AQ-14: an acquire that times out says why, with the counts") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("timeout", {.min = 0, .max = 1})};
    std::string words;
    pool_counts counts;
    pool_errc reason{};
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        try {
            auto second = co_await pool.acquire({.timeout = 20ms});
        } catch (const acquire_error& refused) {
            words = refused.what();
            counts = refused.stats();
            reason = refused.reason();
        }
        lease.release();
        co_await pool.close(1s);
    });
    CHECK(reason == pool_errc::acquire_timeout);
    CHECK(counts.leased == 1);
    CHECK(counts.max == 1);
    CHECK(counts.timed_out == 1);
    CHECK(words.find("acquire timed out: pool \"timeout\", after 0.0") == 0);
    CHECK(words.find("1 of 1 connections: 1 leased") != std::string::npos);
}

TEST_CASE("AQ-2: waiters are served in the order in which they came") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("fifo", {.min = 1, .max = 1})};
    std::vector<int> order;
    const auto client = [&](int number) -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        order.push_back(number);
        co_await lease->query("SELECT 1");
    };
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto lease = co_await pool.acquire();
        for (int i = 0; i < 100; ++i) {
            asio::co_spawn(context, client(i), asio::detached);
        }
        while (pool.stats().waiting < 100) {
            co_await asio::post(context, asio::use_awaitable);
        }
        CHECK_FALSE(pool.try_acquire().has_value());
        lease.release();
        CHECK_FALSE(pool.try_acquire().has_value());
        co_await pool.close(10s);
    });
    // `close` tells those who still wait; the first in line were served before it
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK_FALSE(order.empty());
}

TEST_CASE("a cancelled acquire has no connection, and the next caller gets it") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("cancel", {.min = 1, .max = 1})};
    error_code cancelled;
    bool next_served = false;
    asio::cancellation_signal signal;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto lease = co_await pool.acquire();
        pool.async_acquire(
            asio::bind_cancellation_slot(signal.slot(), [&](error_code code, trunkline::lease) { cancelled = code; }));
        auto next = pool.async_acquire({.timeout = 5s}, asio::deferred);
        signal.emit(asio::cancellation_type::total);
        lease.release();
        auto served = co_await std::move(next);
        next_served = static_cast<bool>(served);
        served.release();
        co_await pool.close(1s);
    });
    CHECK(cancelled == asio::error::operation_aborted);
    CHECK(next_served);
    CHECK(pool.stats().cancelled == 1);
}

TEST_CASE("a coroutine that is cancelled while it waits ends with operation_aborted") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("cancel_coro", {.min = 1, .max = 1})};
    std::exception_ptr thrown;
    asio::cancellation_signal signal;
    const auto waiter = [&]() -> asio::awaitable<void> { auto lease = co_await pool.acquire(); };
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto lease = co_await pool.acquire();
        const auto ended = [&](std::exception_ptr what) { thrown = what; };
        asio::co_spawn(context, waiter(), asio::bind_cancellation_slot(signal.slot(), ended));
        while (pool.stats().waiting == 0) {
            co_await asio::post(context, asio::use_awaitable);
        }
        signal.emit(asio::cancellation_type::terminal);
        lease.release();
        co_await pool.close(1s);
    });
    REQUIRE(thrown);
    CHECK_THROWS_AS(std::rethrow_exception(thrown), error);
    CHECK(pool.stats().cancelled == 1);
}

TEST_CASE("a lease that was returned inside a transaction is rolled back, and the session lives on") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("rollback", {.min = 1, .max = 1})};
    int first = 0;
    int second = 0;
    std::int64_t rows_left = -1;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.query("DROP TABLE IF EXISTS rolled_back");
        co_await pool.query("CREATE TABLE rolled_back (id int)");
        {
            auto lease = co_await pool.acquire();
            first = lease->backend_pid();
            co_await lease->query("BEGIN");
            co_await lease->query("INSERT INTO rolled_back VALUES (1)");
        }
        auto lease = co_await pool.acquire();
        second = lease->backend_pid();
        const auto rows = co_await lease->query("SELECT count(*) FROM rolled_back");
        rows_left = rows[0].get<std::int64_t>(0);
        co_await lease->query("DROP TABLE rolled_back");
        lease.release();
        co_await pool.close(1s);
    });
    CHECK(first == second);
    CHECK(rows_left == 0);
    CHECK(pool.stats().rollbacks == 1);
}

TEST_CASE("a discarded lease's session ends, and another takes its place") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("discard", {.min = 1, .max = 1})};
    int first = 0;
    int second = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        first = lease->backend_pid();
        lease.discard();
        lease = co_await pool.acquire();
        second = lease->backend_pid();
        lease.release();
        co_await pool.close(1s);
    });
    CHECK(first != second);
    CHECK(pool.stats().discarded == 1);
}

TEST_CASE("LC-5: connections that nobody uses are closed down to the minimum") {
    asio::io_context context;
    auto settings = fixture::settings("reap", {.min = 1, .max = 4});
    settings.lifetime.idle_timeout = 200ms;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        {
            std::vector<lease> all;
            for (int i = 0; i < 4; ++i) {
                auto one = co_await pool.acquire();
                all.push_back(std::move(one));
            }
        }
        while (pool.stats().total > 1) {
            co_await asio::post(context, asio::use_awaitable);
        }
        co_await pool.close(1s);
    });
    CHECK(pool.stats().reaped_idle == 3);
}

TEST_CASE("a connection that has lived long enough is replaced") {
    asio::io_context context;
    auto settings = fixture::settings("old", {.min = 1, .max = 1});
    settings.lifetime.idle_timeout = 0ms;
    settings.lifetime.max_lifetime = 100ms;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        while (pool.stats().opened < 3) {
            co_await asio::post(context, asio::use_awaitable);
        }
        co_await pool.close(1s);
    });
    CHECK(pool.stats().reaped_old >= 2);
}
