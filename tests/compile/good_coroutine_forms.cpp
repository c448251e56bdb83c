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
