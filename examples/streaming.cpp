// Rows one after another: in bounded memory, stopped early, failing midway, and with a limit on each wait.
//
//   streaming postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <string_view>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<std::int64_t> sum(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    auto rows = co_await lease->stream("SELECT i::bigint, repeat('x', 100) FROM generate_series(1, $1) AS i", 100'000);
    std::int64_t total = 0;
    while (const auto row = co_await rows.next()) {
        total += row->get<std::int64_t>(0);
    }
    co_return total;
}

asio::awaitable<void> find(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    {
        auto rows = co_await lease->stream("SELECT generate_series(1, 1000000000)");
        while (const auto row = co_await rows.next()) {
            if (row->get<int>(0) % 1'234 == 0) {
                std::cout << "found in row " << rows.rows() << '\n';
                break;
            }
        }
    }  // here it is stopped; rows.stop() does the same
    const auto next = co_await lease->query("SELECT 'and the connection goes on'");
    std::cout << next[0].get<std::string_view>(0) << '\n';
}

asio::awaitable<void> fail_midway(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    auto rows = co_await lease->stream("SELECT 1000 / (500 - i) FROM generate_series(1, 1000) AS i");
    try {
        while (const auto row = co_await rows.next()) {
        }
    } catch (const trunkline::error& failure) {
        std::cout << "after " << rows.rows() << " rows: " << failure.message() << '\n';
    }
}

asio::awaitable<void> take_time(trunkline::pool& pool) {
    asio::steady_timer work{co_await asio::this_coro::executor};
    auto lease = co_await pool.acquire();
    auto rows = co_await lease->stream({.timeout = 200ms}, "SELECT generate_series(1, 1000000000)");
    for (int i = 0; i < 3; ++i) {
        co_await rows.next();
        work.expires_after(300ms);  // longer than the time-out: the server waits, and nobody counts
        co_await work.async_wait(asio::use_awaitable);
    }
    rows.stop();
    auto slow = co_await lease->stream({.timeout = 200ms}, "SELECT pg_sleep(60)");
    co_await slow.next();
}

asio::awaitable<void> stop_inside_transaction(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    auto tx = co_await lease->begin();
    auto inner = co_await tx.begin();  // a savepoint, which the stop may fail
    auto rows = co_await inner.stream("SELECT generate_series(1, 1000000000)");
    co_await rows.next();
    rows.stop();
    co_await inner.rollback();
    co_await tx.query("SELECT 'the transaction goes on'");
    co_await tx.commit();
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    const auto total = co_await sum(pool);
    std::cout << "sum: " << total << '\n';
    co_await find(pool);
    co_await fail_midway(pool);
    try {
        co_await take_time(pool);
    } catch (const trunkline::error& failure) {
        std::cout << failure.what() << '\n';
    }
    co_await stop_inside_transaction(pool);
    co_await pool.close(5s);
}

int main(int argc, char** argv) {
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    trunkline::pool pool{context.get_executor(), settings};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
