#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <iostream>

boost::asio::awaitable<void> greet(trunkline::pool& pool) {
    co_await pool.start();
    auto lease = co_await pool.acquire();
    auto rows = co_await lease->query("SELECT 'Hello, ' || $1 || ' from ' || current_database()", "reader");
    std::cout << rows[0].get<std::string_view>(0) << '\n';
    lease.release();
    co_await pool.close(std::chrono::seconds{5});
}

int main(int argc, char** argv) {
    boost::asio::io_context context;
    auto settings = trunkline::settings_from_environment();  // TRUNKLINE_ENV: development, staging, production …
    settings.connect.url = argc > 1 ? argv[1] : "";
    trunkline::pool pool{context.get_executor(), settings};
    boost::asio::co_spawn(context, greet(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
