// A type of your own as a parameter and in a column, rows as structs and as tuples.
//
//   types postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>
#include <boost/describe/class.hpp>

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

struct celsius {
    double degrees;
};

template <>
struct trunkline::parameter_traits<celsius> {
    static void encode(trunkline::parameters& to, const celsius& value) { to.add(value.degrees); }
};

template <>
struct trunkline::field_traits<celsius> {
    static celsius decode(const trunkline::field& from) { return {trunkline::field_traits<double>::decode(from)}; }
};

struct reading {
    std::string place;
    celsius temperature;
};
BOOST_DESCRIBE_STRUCT(reading, (), (place, temperature))

boost::asio::awaitable<void> measure(trunkline::pool& pool) {
    const std::vector<std::string> places{"Oslo", "Rome"};
    constexpr celsius mild{17.5};
    auto rows =
        co_await pool.query("SELECT place, $2 + length(place) AS temperature FROM unnest($1) AS place", places, mild);
    for (const auto& one : rows.into<reading>()) {  // by name
        std::cout << one.place << ": " << one.temperature.degrees << '\n';
    }
    for (const auto& [place, temperature] : rows.rows<std::string, double>()) {  // by position
        std::cout << place << ": " << temperature << '\n';
    }
    co_await pool.close(std::chrono::seconds{5});
}

int main(int argc, char** argv) {
    boost::asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    trunkline::pool pool{context.get_executor(), settings};
    boost::asio::co_spawn(context, measure(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
