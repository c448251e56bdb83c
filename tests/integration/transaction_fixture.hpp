#pragma once

#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <exception>
#include <optional>
#include <string>
#include <utility>

/// What the tests of transactions share.
namespace trunkline::test {

/// A table `NAME (v int PRIMARY KEY)`, and a session outside the pool that looks at it.
class number_table {
public:
    explicit number_table(std::string name, const std::string& url = fixture::url())
        : name_{std::move(name)},
          observer_{url} {
        observer_.execute("DROP TABLE IF EXISTS " + name_);
        observer_.execute("CREATE TABLE " + name_ + " (v int PRIMARY KEY)");
    }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::string insert(int value) const {
        return "INSERT INTO " + name_ + " VALUES (" + std::to_string(value) + ")";
    }
    /// What is committed: "1 2".
    [[nodiscard]] std::string rows() {
        return observer_.scalar("SELECT coalesce(string_agg(v::text, ' ' ORDER BY v), '') FROM " + name_);
    }
    /// How a session stands, as `pg_stat_activity` has it: "idle in transaction".
    [[nodiscard]] std::string state_of(int backend_pid) {
        return observer_.scalar("SELECT coalesce(max(state), 'gone') FROM pg_stat_activity WHERE pid = " +
                                std::to_string(backend_pid));
    }
    [[nodiscard]] plain_connection& observer() noexcept { return observer_; }

private:
    std::string name_;
    plain_connection observer_;
};

/// How an operation ends: no code if it goes well.
template <typename T>
boost::asio::awaitable<error_code> outcome_of(boost::asio::awaitable<T> operation) {
    error_code how;
    try {
        co_await std::move(operation);
    } catch (const boost::system::system_error& failed) {
        how = failed.code();
    }
    co_return how;
}

/// The same with all that it says.
template <typename T>
boost::asio::awaitable<error> failure_of(boost::asio::awaitable<T> operation) {
    std::optional<error> why;
    try {
        (void)co_await std::move(operation);
    } catch (const error& failed) {
        why.emplace(failed);
    }
    if (!why) {
        why.emplace(error_code{}, diagnostics{});
    }
    co_return *why;
}

/// Loads `data` so many times by a COPY.
inline boost::asio::awaitable<void> load(connection& on, std::string sql, std::string data, int times = 1) {
    auto to = co_await on.copy_in(sql);
    for (int i = 0; i < times; ++i) {
        co_await to.write(data);
    }
    co_await to.finish();
}

/// The first value of the answer, as text.
template <typename Where>
boost::asio::awaitable<std::string> value_of(Where& where, std::string sql) {
    const auto rows = co_await where.query(sql);
    co_return rows[0].template get<std::string>(0);
}

/// Runs `body(pool&)` on a pool, and closes that, whatever happens.
template <typename Body>
void run_on(pool_settings settings, Body body, pool_hooks hooks = {}) {
    boost::asio::io_context context;
    pool lines{context.get_executor(), std::move(settings), std::move(hooks)};
    run(context, [&]() -> boost::asio::awaitable<void> {
        std::exception_ptr thrown;
        try {
            co_await body(lines);
        } catch (...) {
            thrown = std::current_exception();
        }
        co_await lines.close(std::chrono::seconds{10});
        if (thrown) {
            std::rethrow_exception(thrown);
        }
    });
}

}  // namespace trunkline::test
