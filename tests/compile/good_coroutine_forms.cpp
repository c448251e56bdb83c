// What users may write in a co_await expression.
#include <trunkline/pool.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <optional>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct named_aggregate {
    std::string text;
};
template <>
struct trunkline::parameter_traits<named_aggregate> {
    static void encode(parameters& to, const named_aggregate& value) { to.add_text(value.text); }
};

asio::awaitable<int> add_one(trunkline::transaction& tx) {
    const auto rows = co_await tx.query("insert into t values (1) returning 1");
    co_return rows[0].get<int>(0);
}

asio::awaitable<int> transactions(trunkline::pool& pool, trunkline::connection& on, std::string name) {
    auto tx = co_await on.begin({.isolation = trunkline::isolation_level::serializable});
    auto inner = co_await tx.begin();
    co_await inner.commit();
    auto count = co_await tx.execute("insert into t values ($1)", 1);
    count += co_await tx.execute({.timeout = 5ms}, "insert into t values ($1)", name);
    co_await tx.commit();
    const auto named = [name](trunkline::transaction& each) -> asio::awaitable<void> {
        co_await each.execute("insert into t values ($1)", name);
    };
    co_await pool.transaction(named);
    co_await pool.transaction(named, {.isolation = trunkline::isolation_level::serializable}, {.attempts = 3});
    co_await on.transaction([&](trunkline::transaction& each) -> asio::awaitable<void> {
        co_await each.execute("insert into t values ($1)", name);
        co_await each.savepoint(named);
    });
    auto changing = [calls = 0](trunkline::transaction&) mutable -> asio::awaitable<int> { co_return ++calls; };
    const auto calls = co_await pool.transaction(changing, {}, trunkline::no_retry);
    const auto value = co_await pool.transaction(add_one);
    co_return value + calls + static_cast<int>(count);
}

asio::awaitable<int> forms(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    auto in_time = co_await pool.acquire({.timeout = 5ms});
    auto rows = co_await lease->query("select $1, $2, $3, $4, $5", 1, 2.5, true, "text", nullptr);
    rows = co_await lease->query("select $1", std::string{"a temporary with a constructor"});
    rows = co_await lease->query("select $1", std::optional<std::string>{"so is this"});
    rows = co_await pool.query("select $1", std::chrono::system_clock::now());
    const named_aggregate aggregate{"it has a name"};
    rows = co_await pool.query("select $1", aggregate);
    const auto count = co_await lease->execute("delete from t where id = $1", 7L);
    trunkline::parameters list;
    list.add(1).add("two").add(std::optional<int>{});
    rows = co_await pool.query("select $1, $2, $3", list);
    auto other = co_await pool.async_acquire(asio::use_awaitable);
    auto third = co_await pool.async_acquire({.timeout = 1s}, asio::deferred);
    const auto [error, fourth] = co_await pool.async_acquire(asio::as_tuple(asio::use_awaitable));
    trunkline::diagnostics why;
    const auto [reason, fifth] = co_await pool.async_acquire({}, why, asio::as_tuple(asio::deferred));
    auto future = pool.async_acquire(asio::use_future);
    pool.async_acquire([](trunkline::error_code, trunkline::lease) {});
    co_await pool.close(5s);
    co_return static_cast<int>(count) + (in_time && other && third ? 1 : 0) + error.value() + reason.value() +
        rows[0].get<int>(0);
}
