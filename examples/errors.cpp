// Errors: as exceptions and as values, what they carry, and what to do about them.
//
//   errors postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>
#include <trunkline/sqlstate.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<bool> sign_up(trunkline::pool& pool, std::string name) {
    try {
        co_await pool.query("INSERT INTO tour_user VALUES ($1)", name);
    } catch (const trunkline::error& failure) {
        if (failure.code() == trunkline::sqlstate::unique_violation && failure.constraint() == "tour_user_pkey") {
            co_return false;  // the name is taken
        }
        throw;
    }
    co_return true;
}

asio::awaitable<void> all_that_is_known(trunkline::pool& pool) {
    try {
        co_await pool.query("SELECT name FROM tour_usr");
    } catch (const trunkline::error& failure) {
        std::cout << "code:       " << failure.code().message() << '\n'
                  << "SQLSTATE:   " << failure.sqlstate() << '\n'
                  << "message:    " << failure.message() << '\n'
                  << "position:   " << failure.position() << '\n'
                  << "statement:  " << failure.statement() << '\n'
                  << "all of it:  " << failure.what() << '\n';
    }
}

/// What to answer, say, over HTTP.
int status_of(const trunkline::error_code& code) {
    if (code == trunkline::errc::overloaded || code == trunkline::errc::server_unavailable) {
        return 503;  // later
    }
    if (code == trunkline::errc::retryable) {
        return 409;  // again
    }
    return code == trunkline::pool_errc::query_timeout ? 504 : 500;
}

asio::awaitable<void> acquire_by_value(trunkline::pool& pool) {
    trunkline::diagnostics why;
    const auto [code, lease] =
        co_await pool.async_acquire({.timeout = 100ms}, why, asio::as_tuple(asio::use_awaitable));
    if (code) {
        std::cout << status_of(code) << ": " << why.message << '\n';
        co_return;
    }
    co_await lease->query("SELECT 1");
}

/// How an operation ended: a value, or a code and the story.
template <typename Value>
struct outcome {
    trunkline::error_code code;
    std::string why;
    Value value{};
};

template <typename Value>
asio::awaitable<outcome<Value>> outcome_of(asio::awaitable<Value> operation) {
    outcome<Value> gives;
    try {
        gives.value = co_await std::move(operation);
    } catch (const boost::system::system_error& failure) {  // the library's errors, and Asio's
        gives.code = failure.code();
        gives.why = failure.what();
    }
    co_return gives;
}

asio::awaitable<void> query_by_value(trunkline::pool& pool) {
    const auto got = co_await outcome_of(pool.query("SELECT 1 / $1::int", 0));
    if (got.code) {
        std::cout << status_of(got.code) << ": " << got.why << '\n';
    }
}

asio::awaitable<void> statements_by_value(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    trunkline::pipeline two;
    two.add("SELECT 1").add("SELECT nonsense");
    const auto outcomes = co_await lease->try_run(two);
    for (const auto& one : outcomes) {
        std::cout << (one.code ? one.said.message : "well") << '\n';
    }
}

asio::awaitable<void> nobody_free(trunkline::pool& pool) {
    const auto all_there_is = co_await pool.acquire();
    co_await acquire_by_value(pool);
    try {
        const auto one_more = co_await pool.acquire({.timeout = 100ms});
    } catch (const trunkline::acquire_error& refused) {
        std::cout << refused.stats().leased << " leased, " << refused.stats().waiting << " waiting; "
                  << (refused.last_connect_error() != nullptr ? "and the server is away\n" : "the server is there\n");
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_user (name text PRIMARY KEY)");
    const bool once = co_await sign_up(pool, "ann");
    const bool twice = co_await sign_up(pool, "ann");
    std::cout << (once ? "signed up" : "taken") << ", then " << (twice ? "signed up" : "taken") << '\n';
    co_await all_that_is_known(pool);
    co_await acquire_by_value(pool);
    co_await nobody_free(pool);
    co_await query_by_value(pool);
    co_await statements_by_value(pool);
    co_await pool.query("DROP TABLE tour_user");
    co_await pool.close(5s);
}

int main(int argc, char** argv) {
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    settings.size.min = 1;
    settings.size.max = 1;  // so that it is soon lent out
    trunkline::pool pool{context.get_executor(), settings};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
