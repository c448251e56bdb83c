// LISTEN and NOTIFY: one notification on a lease, and a listener that goes on when its connection does not.
//
//   listen postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/listener.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> wait_once(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    co_await lease->query("LISTEN tour_job");
    co_await pool.query("NOTIFY tour_job, 'from another connection'");
    const auto got = co_await lease->notified({.timeout = 5s});
    std::cout << got.channel << ": " << got.payload << '\n';
}  // the reset of the lease unlistens

/// Takes what waits in the table, whoever told of it.
asio::awaitable<bool> work_off(trunkline::pool& pool) {
    const auto jobs = co_await pool.query("DELETE FROM tour_job RETURNING what");
    bool goes_on = true;
    for (const auto& [what] : jobs.rows<std::string>()) {
        std::cout << "job: " << what << '\n';
        goes_on = goes_on && what != "the last";
    }
    co_return goes_on;
}

asio::awaitable<void> serve(trunkline::pool& pool, trunkline::listener& ear) {
    co_await ear.listen("tour_job");  // first, so that nothing falls between
    bool goes_on = co_await work_off(pool);
    while (goes_on) {
        const auto event = co_await ear.next();
        if (event.may_have_missed) {
            std::cout << "connected again: something may have been missed\n";
        }
        goes_on = co_await work_off(pool);
    }
    ear.close();
}

asio::awaitable<void> add_job(trunkline::pool& pool, std::string what) {
    const auto body = [&](trunkline::transaction& tx) -> asio::awaitable<void> {
        co_await tx.execute("INSERT INTO tour_job VALUES ($1)", what);
        co_await tx.execute("NOTIFY tour_job");  // is sent with the COMMIT
    };
    co_await pool.transaction(body);
}

asio::awaitable<void> produce(trunkline::pool& pool, trunkline::listener& ear) {
    asio::steady_timer pause{co_await asio::this_coro::executor};
    pause.expires_after(100ms);
    co_await pause.async_wait(asio::use_awaitable);
    co_await add_job(pool, "the second");
    pause.expires_after(100ms);
    co_await pause.async_wait(asio::use_awaitable);
    const auto pid = ear.backend_pid();
    co_await pool.query("SELECT pg_terminate_backend($1)", pid);
    co_await add_job(pool, "the last");
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await wait_once(pool);
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_job (what text)");
    co_await add_job(pool, "the first");
    trunkline::listener ear{pool};
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, produce(pool, ear), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    co_await serve(pool, ear);
    co_await pool.query("DROP TABLE tour_job");
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
