#include "connection_fixture.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;
using boost::asio::awaitable;

template <typename T>
awaitable<T> echo(connection& on, std::string type, T value) {
    const result got = co_await on.query("SELECT $1::" + type + " AS v", value);
    co_return got[0].get<T>("v");
}

TEST_CASE("integers, floats and bools come back as they were sent, at their limits too") {
    with_connection([](connection& on) -> awaitable<void> {
        const auto int2 = co_await echo<std::int16_t>(on, "int2", std::numeric_limits<std::int16_t>::min());
        CHECK(int2 == std::numeric_limits<std::int16_t>::min());
        const auto int4 = co_await echo<std::int32_t>(on, "int4", std::numeric_limits<std::int32_t>::max());
        CHECK(int4 == std::numeric_limits<std::int32_t>::max());
        const auto int8 = co_await echo<std::int64_t>(on, "int8", std::numeric_limits<std::int64_t>::min());
        CHECK(int8 == std::numeric_limits<std::int64_t>::min());
        const auto unsigned4 = co_await echo<std::uint32_t>(on, "int8", 4'294'967'295U);
        CHECK(unsigned4 == 4'294'967'295U);
        const auto single = co_await echo<float>(on, "float4", -0.125F);
        CHECK(single == -0.125F);
        const auto infinite = co_await echo<double>(on, "float8", std::numeric_limits<double>::infinity());
        CHECK(infinite == std::numeric_limits<double>::infinity());
        const auto yes = co_await echo<bool>(on, "bool", true);
        CHECK(yes);
    });
}

TEST_CASE("text, bytes and times come back as they were sent") {
    with_connection([](connection& on) -> awaitable<void> {
        const std::string text = "Grüße, 🐘 'quoted' \\ and\nlines";
        const auto same = co_await echo<std::string>(on, "text", text);
        CHECK(same == text);
        const auto empty = co_await echo<std::string>(on, "text", std::string{});
        CHECK(empty.empty());
        const std::array bytes{std::byte{0}, std::byte{255}, std::byte{7}};
        const result raw = co_await on.query("SELECT $1::bytea", std::span<const std::byte>{bytes});
        CHECK(std::ranges::equal(raw[0].get<std::span<const std::byte>>(0), bytes));
        const result none = co_await on.query("SELECT $1::bytea", std::span<const std::byte>{});
        CHECK_FALSE(none[0][0].is_null());
        CHECK(none[0][0].bytes().empty());
        using std::chrono::system_clock;
        const system_clock::time_point then{std::chrono::microseconds{1'700'000'000'123'456}};
        const auto time = co_await echo<system_clock::time_point>(on, "timestamptz", then);
        CHECK(time == then);
        const auto old = co_await echo<system_clock::time_point>(on, "timestamptz", system_clock::time_point{-1us});
        CHECK(old == system_clock::time_point{-1us});
    });
}

TEST_CASE("text parameters take the type that the server infers") {
    with_connection([](connection& on) -> awaitable<void> {
        const result got =
            co_await on.query("SELECT $1::date > $2::date AS later, $3::numeric::text AS exact, $4::jsonb AS json",
                              "2024-02-29", "2024-01-01", "1.50", R"({"a": 1})");
        CHECK(got[0].get<bool>("later"));
        CHECK(got[0].get<std::string>("exact") == "1.50");
        CHECK(got[0].get<std::string_view>("json") == R"({"a": 1})");
    });
}

TEST_CASE("NULL goes both ways") {
    with_connection([](connection& on) -> awaitable<void> {
        const result got = co_await on.query("SELECT $1::int4 AS a, $2::text AS b, $3::int8 AS c", nullptr,
                                             std::optional<std::string>{}, std::optional<std::int64_t>{5});
        CHECK(got[0].get<std::optional<int>>("a") == std::nullopt);
        CHECK(got[0]["b"].is_null());
        CHECK(got[0].get<std::optional<std::int64_t>>("c") == 5);
        CHECK_THROWS_AS(got[0].get<int>("a"), error);
    });
}

TEST_CASE("a user's enum is text, a user's composite is not") {
    with_connection([](connection& on) -> awaitable<void> {
        (void)co_await on.query("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')");
        (void)co_await on.query("CREATE TYPE pg_temp.pair AS (a int, b int)");
        const result got = co_await on.query("SELECT 'happy'::pg_temp.mood AS m, (1, 2)::pg_temp.pair AS p");
        CHECK(got[0].get<std::string_view>("m") == "happy");
        CHECK_THROWS_AS(got[0].get<std::string_view>("p"), error);
    });
}

TEST_CASE("rows can be counted, walked through and named") {
    with_connection([](connection& on) -> awaitable<void> {
        const result got = co_await on.query("SELECT i, i * i AS square FROM generate_series(1, 1000) i");
        CHECK(got.size() == 1'000);
        CHECK(got.columns() == 2);
        CHECK(got.column_name(1) == "square");
        std::int64_t sum = 0;
        for (const row each : got) {
            sum += each.get<int>("square");
        }
        CHECK(sum == 333'833'500);
        const auto changed = co_await on.execute("CREATE TEMP TABLE t AS SELECT generate_series(1, 7)");
        CHECK(changed == 7);
        const result empty = co_await on.query("");
        CHECK(empty.empty());
        CHECK(empty.rows_affected() == 0);
    });
}

TEST_CASE("sixteen megabytes go out and come back at once") {
    with_connection([](connection& on) -> awaitable<void> {
        std::string big(16 << 20, 'x');
        big[5'000'000] = 'y';
        for (int i = 0; i < 3; ++i) {
            const result got = co_await on.query("SELECT $1::text AS v", big);
            CHECK(got[0].get<std::string_view>("v") == big);
        }
        const result small = co_await on.query("SELECT 1");
        CHECK(small[0].get<int>(0) == 1);
    });
}

TEST_CASE("a server's error carries all that it said, and the connection goes on") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query(
            "CREATE TEMP TABLE priced (id int PRIMARY KEY, price int CONSTRAINT is_positive CHECK (price > 0))");
        const error refused = co_await error_of(on.query("INSERT INTO priced VALUES (1, -5)"));
        CHECK(refused.code() == sqlstate::check_violation);
        CHECK(refused.sqlstate() == "23514");
        CHECK(refused.constraint() == "is_positive");
        CHECK(refused.server_diagnostics().table == "priced");
        CHECK(refused.detail().find("-5") != std::string_view::npos);
        const error unknown = co_await error_of(on.query("SELECT lenght('x')"));
        CHECK(unknown.sqlstate() == "42883");
        CHECK(unknown.position() == 8);
        CHECK_FALSE(unknown.hint().empty());
        CHECK(on.session().state() == pg::session_state::clean);
        const result after = co_await on.query("SELECT 7");
        CHECK(after[0].get<int>(0) == 7);
    });
}

TEST_CASE("the session says whether it is inside a transaction") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        CHECK(on.session().state() == pg::session_state::clean);
        (void)co_await on.query("BEGIN");
        CHECK(on.session().state() == pg::session_state::in_transaction);
        (void)co_await error_of(on.query("SELECT 1/0"));
        CHECK(on.session().state() == pg::session_state::in_transaction);
        (void)co_await on.query("ROLLBACK");
        CHECK(on.session().state() == pg::session_state::clean);
        CHECK(on.session().take_first_use());
        CHECK_FALSE(on.session().take_first_use());
    });
}

TEST_CASE("what the protocol cannot carry is refused before anything is sent") {
    with_connection([](connection& on) -> awaitable<void> {
        parameters many;
        for (int i = 0; i < 65'536; ++i) {
            many.add(i);
        }
        const error count = co_await error_of(on.query("SELECT 1", std::move(many)));
        CHECK(count.code() == pool_errc::too_many_parameters);
        const error text = co_await error_of(on.query("SELECT $1::text", std::string{"a\0b", 3}));
        CHECK(text.code() == pool_errc::invalid_text);
        const error statement = co_await error_of(on.query(std::string_view{"SELECT 1\0", 9}));
        CHECK(statement.code() == pool_errc::invalid_text);
        parameters most;
        std::string sql = "SELECT 0";
        for (int i = 1; i <= 65'535; ++i) {
            most.add(i);
            sql += (i % 1'000 == 0) ? "+$" + std::to_string(i) + "::int4" : "";
        }
        const result sum = co_await on.query("SELECT $65535::int4", std::move(most));
        CHECK(sum[0].get<int>(0) == 65'535);
    });
}

TEST_CASE("COPY through query is refused, and the connection is not used again") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        const error refused = co_await error_of(on.query("COPY (SELECT generate_series(1, 100000)) TO STDOUT"));
        CHECK(refused.code() == pool_errc::unsupported_statement);
        CHECK(on.session().state() == pg::session_state::broken);
        const error after = co_await error_of(on.query("SELECT 1"));
        CHECK(after.code() == pool_errc::connection_lost);
    });
    with_connection([](lone_connection& on) -> awaitable<void> {
        (void)co_await on.query("CREATE TEMP TABLE t (i int)");
        const error refused = co_await error_of(on.query("COPY t FROM STDIN"));
        CHECK(refused.code() == pool_errc::unsupported_statement);
    });
}

TEST_CASE("the server's notices reach the log with their level") {
    std::mutex guard;
    std::vector<std::pair<log_level, std::string>> lines;
    pg::session::events to;
    to.pool = "main";
    to.log = [&](const log_record& record) {
        const std::lock_guard lock{guard};
        CHECK(record.pool == "main");
        lines.emplace_back(record.level, std::string{record.message});
    };
    with_connection(
        [](connection& on) -> awaitable<void> {
            (void)co_await on.query("DO $$ BEGIN RAISE NOTICE 'heads up'; RAISE WARNING 'beware'; END $$");
            (void)co_await on.query("DROP TABLE IF EXISTS never_was");
        },
        server().url(), to);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].first == log_level::info);
    CHECK(lines[0].second.find("heads up") != std::string::npos);
    CHECK(lines[1].first == log_level::warning);
    CHECK(lines[2].second.find("never_was") != std::string::npos);
}

TEST_CASE("notifications that nobody asked for are dropped") {
    with_connection([](connection& on) -> awaitable<void> {
        (void)co_await on.query("LISTEN news");
        (void)co_await on.query("NOTIFY news, 'now'");
        const result got = co_await on.query("SELECT 1");
        CHECK(got.size() == 1);
    });
}

TEST_CASE("what the server reports can be asked for") {
    with_connection([](lone_connection& on) -> awaitable<void> {
        CHECK(on.server_parameter("client_encoding") == "UTF8");
        CHECK(on.server_parameter("no_such_parameter").empty());
        const result got = co_await on.query(
            "SELECT pg_backend_pid(), application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()");
        CHECK(got[0].get<int>(0) == on.backend_pid());
        CHECK(got[0].get<std::string>(1) == "trunkline");
    });
}

}  // namespace
