// Time-outs and cancellation: of an acquire, of a statement, of a lease, and the end of the pool.
//
//   deadlines postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> sleep(std::chrono::milliseconds time) {
    asio::steady_timer timer{co_await asio::this_coro::executor};
    timer.expires_after(time);
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> wait_for_a_connection(trunkline::pool& pool) {
    const auto first = co_await pool.acquire();  // the pool has two
    const auto second = co_await pool.acquire({.timeout = 2s});
    try {
        const auto third = co_await pool.acquire({.timeout = 100ms});
    } catch (const trunkline::acquire_error& refused) {
        std::cout << refused.what() << '\n';
    }
}

asio::awaitable<void> limit_a_statement(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    const auto session = lease->backend_pid();
    try {
        co_await lease->query({.timeout = 200ms}, "SELECT pg_sleep(60)");
    } catch (const trunkline::error& failure) {
        std::cout << failure.what() << '\n';
    }
    const auto rows = co_await lease->query("SELECT pg_backend_pid()");
    std::cout << (rows[0].get<int>(0) == session ? "the same session goes on\n" : "another session\n");
}

asio::awaitable<void> report(trunkline::pool& pool) {
    try {
        auto lease = co_await pool.acquire();
        co_await lease->query("SELECT pg_sleep(60)");
    } catch (const boost::system::system_error& failure) {
        std::cout << "the report: " << failure.code().message() << '\n';
        throw;
    }
}

asio::awaitable<void> cancel_a_coroutine(trunkline::pool& pool) {
    asio::cancellation_signal stop;
    bool ended = false;
    const auto on_end = [&](std::exception_ptr) { ended = true; };
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, report(pool), asio::bind_cancellation_slot(stop.slot(), on_end));
    co_await sleep(100ms);
    stop.emit(asio::cancellation_type::terminal);
    while (!ended) {
        co_await sleep(1ms);
    }
}

asio::awaitable<void> cancel_an_acquire(trunkline::pool& pool) {
    const auto first = co_await pool.acquire();
    const auto second = co_await pool.acquire();
    asio::cancellation_signal stop;
    const auto on_end = [](trunkline::error_code code, trunkline::lease lent) {
        std::cout << "the acquire: " << code.message() << (lent ? ", a lease\n" : ", no lease\n");
    };
    pool.async_acquire(asio::bind_cancellation_slot(stop.slot(), on_end));
    stop.emit(asio::cancellation_type::total);
    co_await sleep(10ms);
}

asio::awaitable<void> keep_a_lease_too_long(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    co_await sleep(1'500ms);  // `lease.timeout` is a second
    try {
        co_await lease->query("SELECT 1");
    } catch (const trunkline::error& failure) {
        std::cout << failure.what() << '\n';
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await wait_for_a_connection(pool);
    co_await limit_a_statement(pool);
    co_await cancel_a_coroutine(pool);
    co_await cancel_an_acquire(pool);
    co_await keep_a_lease_too_long(pool);

    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, report(pool), [](std::exception_ptr) {});  // told that the pool is closed
    co_await sleep(50ms);
    co_await pool.close(100ms);
}

int main(int argc, char** argv) {
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    settings.size.min = 1;
    settings.size.max = 2;
    settings.acquire.timeout = 2s;
    settings.query.timeout = 500ms;  // of each statement that is given no other
    settings.lease.timeout = 1s;
    trunkline::pool pool{context.get_executor(), settings};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
