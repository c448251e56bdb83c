// A first query: parameters, rows as values, tuples and structs, and a statement without a lease.
//
//   first_query postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>
#include <boost/describe/class.hpp>

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

namespace asio = boost::asio;

struct city {
    std::string name;
    std::optional<std::int64_t> inhabitants;  // NULL, or a number
};
BOOST_DESCRIBE_STRUCT(city, (), (name, inhabitants))

asio::awaitable<void> values(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    const auto rows = co_await lease->query(
        "SELECT name, inhabitants FROM tour_city WHERE inhabitants > $1 AND name <> $2", 700'000, "Rome");
    for (const auto& row : rows) {
        std::cout << row.get<std::string_view>("name") << ": " << row.get<std::int64_t>(1) << '\n';
    }
}  // here the connection goes back

asio::awaitable<void> tuples_and_structs(trunkline::pool& pool) {
    const auto rows = co_await pool.query("SELECT name, inhabitants FROM tour_city ORDER BY name");
    for (const auto& [name, inhabitants] : rows.rows<std::string, std::optional<int>>()) {  // by position
        std::cout << name << ": " << inhabitants.value_or(0) << '\n';
    }
    for (const auto& one : rows.into<city>()) {  // by name
        std::cout << one.name << (one.inhabitants ? " is known\n" : " is not known\n");
    }
}

asio::awaitable<void> change(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    const auto changed =
        co_await lease->execute("UPDATE tour_city SET inhabitants = $2 WHERE name = $1", "Rome", 2'761'632);
    std::cout << changed << " changed\n";
}

asio::awaitable<void> mistake(trunkline::pool& pool) {
    try {
        co_await pool.query("SELECT nme FROM tour_city");
    } catch (const trunkline::error& failure) {
        std::cout << failure.what() << '\n';
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_city (name text PRIMARY KEY, inhabitants bigint)");
    co_await pool.query("INSERT INTO tour_city VALUES ('Oslo', 717710), ('Rome', NULL) ON CONFLICT DO NOTHING");
    co_await values(pool);
    co_await tuples_and_structs(pool);
    co_await change(pool);
    co_await mistake(pool);
    co_await pool.query("DROP TABLE tour_city");
    co_await pool.close(std::chrono::seconds{5});
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
