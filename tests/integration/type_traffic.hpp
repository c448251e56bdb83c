#pragma once

#include "support/catch.hpp"

#include <trunkline/connection.hpp>

#include <boost/asio/awaitable.hpp>

#include <cmath>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// What the tests of types share: values that go to a server and come back.
namespace trunkline::test {

/// A value, and how the server shows it; empty: that is left out.
template <typename T>
struct shown {
    T value;
    std::string text{};
};

template <typename T>
bool same(const T& a, const T& b) {
    if constexpr (std::is_floating_point_v<T>) {
        return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
    } else {
        return a == b;
    }
}

/// What has been sent both ways: PostgreSQL's type and C++'s.
using seen_types = std::set<std::pair<std::string, std::string>>;

/// What is to be sent, and then is. Values are put together where no `co_await` stands: g++ 12 would free them twice.
class traffic {
public:
    template <typename T>
    void both_ways(std::string pg, std::string cpp, std::vector<shown<T>> all) {
        types_.insert({pg, cpp});
        trips_.push_back([pg = std::move(pg), cpp = std::move(cpp), all = std::move(all)](connection& through) {
            return there_and_back<T>(through, pg, cpp, all);
        });
    }
    /// A type that C++ has no parameter for.
    template <typename T>
    void one_way(std::string pg, std::string cpp, std::string sql, T expected) {
        types_.insert({std::move(pg), std::move(cpp)});
        trips_.push_back(
            [sql = std::move(sql), expected](connection& through) { return back<T>(through, sql, expected); });
    }

    boost::asio::awaitable<void> run(connection& through) const {
        for (const auto& trip : trips_) {
            co_await trip(through);
        }
    }
    [[nodiscard]] const seen_types& types() const noexcept { return types_; }

private:
    template <typename T>
    static boost::asio::awaitable<void> there_and_back(connection& through, const std::string& pg,
                                                       const std::string& cpp, const std::vector<shown<T>>& all) {
        INFO(pg << " as " << cpp);
        const std::string sql = "SELECT $1::" + pg + " AS v, $1::" + pg + "::text AS shown";
        for (const auto& one : all) {
            const auto rows = co_await through.query(sql, one.value);
            const auto got = rows[0].template get<T>(0);
            INFO(pg << " as " << cpp << ": " << one.text);
            CHECK(same(got, one.value));
            if (!one.text.empty()) {
                const auto text = rows[0].template get<std::string>(1);
                CHECK(text == one.text);
            }
        }
        const std::optional<T> nothing;
        const auto rows = co_await through.query(sql, nothing);
        CHECK_FALSE(rows[0].template get<std::optional<T>>(0).has_value());
        CHECK_THROWS_AS(rows[0].template get<T>(0), error);
    }
    template <typename T>
    static boost::asio::awaitable<void> back(connection& through, const std::string& sql, const T& expected) {
        const auto rows = co_await through.query("SELECT " + sql);
        CHECK(same(rows[0].template get<T>(0), expected));
    }

    std::vector<std::function<boost::asio::awaitable<void>(connection&)>> trips_;
    seen_types types_;
};

}  // namespace trunkline::test
