#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "type_traffic.hpp"

#include <trunkline/json.hpp>
#include <trunkline/uuid.hpp>

#include <boost/asio.hpp>
#include <boost/uuid/string_generator.hpp>

#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Every type, both ways through a server, and the page that lists them.
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

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

using std::chrono::days;
using std::chrono::local_time;
using std::chrono::microseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;
using std::chrono::year_month_day;
using micro_time = sys_time<microseconds>;
using micro_local = local_time<microseconds>;
using bytes = std::vector<std::byte>;
using boost::json::value;
using boost::uuids::uuid;

template <typename T>
std::vector<shown<T>> integers() {
    using limits = std::numeric_limits<T>;
    return {{limits::min(), std::to_string(limits::min())},
            {T{0}, "0"},
            {T{1}, "1"},
            {limits::max(), std::to_string(limits::max())}};
}

template <typename T>
std::vector<shown<T>> floats() {
    using limits = std::numeric_limits<T>;
    return {{T{0}, "0"},
            {-T{0}, "-0"},
            {T{1.5}, "1.5"},
            {limits::max()},
            {limits::lowest()},
            {limits::min()},
            {limits::denorm_min()},
            {limits::quiet_NaN(), "NaN"},
            {limits::infinity(), "Infinity"},
            {-limits::infinity(), "-Infinity"}};
}

std::vector<shown<numeric>> numerics() {
    std::vector<shown<numeric>> all;
    for (const std::string text :
         {"0", "0.00", "1", "-1", "9999", "10000", "100000000", "-12.50", "0.5", "0.0001", "0.00001", "-0.00000001",
          "123456789012345678901234567890.000100", "99999999999999999999.9999", "NaN", "Infinity", "-Infinity"}) {
        all.push_back({numeric{text}, text});
    }
    const std::string long_one = std::string(300, '7') + "." + std::string(200, '3') + "1";
    all.push_back({numeric{long_one}, long_one});
    return all;
}

bytes all_bytes() {
    bytes all;
    for (int i = 0; i < 256; ++i) {
        all.push_back(static_cast<std::byte>(i));
    }
    return all;
}

constexpr micro_time at(std::chrono::year_month_day day, microseconds time = 0us) { return sys_days{day} + time; }
constexpr micro_local on_the_wall(std::chrono::year_month_day day, microseconds time = 0us) {
    return micro_local{at(day, time).time_since_epoch()};
}

using namespace std::chrono;

void add_numbers(traffic& t) {
    t.both_ways<bool>("boolean", "bool", {{true, "true"}, {false, "false"}});
    t.both_ways<std::int16_t>("smallint", "std::int16_t", integers<std::int16_t>());
    t.both_ways<std::int32_t>("integer", "std::int32_t", integers<std::int32_t>());
    t.both_ways<std::int64_t>("bigint", "std::int64_t", integers<std::int64_t>());
    t.both_ways<std::uint8_t>("smallint", "std::uint8_t", integers<std::uint8_t>());
    t.both_ways<std::uint16_t>("integer", "std::uint16_t", integers<std::uint16_t>());
    t.both_ways<std::uint32_t>("bigint", "std::uint32_t", integers<std::uint32_t>());
    t.one_way<std::uint32_t>("oid", "std::uint32_t", "4294967295::oid", 4'294'967'295U);
    t.both_ways<float>("real", "float", floats<float>());
    t.both_ways<double>("double precision", "double", floats<double>());
    t.both_ways<numeric>("numeric", "trunkline::numeric", numerics());
}

void add_texts(traffic& t) {
    const std::vector<shown<std::string>> texts{
        {"", ""}, {"abc", "abc"}, {"ü€😀", "ü€😀"}, {std::string(1'000'000, 'x')}};
    for (const std::string pg : {"text", "varchar"}) {
        t.both_ways<std::string>(pg, "std::string", texts);
    }
    t.both_ways<std::string>("name", "std::string", {{"a_name", "a_name"}});
    t.both_ways<std::string>("xml", "std::string", {{"<a/>", "<a/>"}});
    t.both_ways<std::string>("mood", "std::string", {{"happy", "happy"}});
    t.both_ways<bytes>("bytea", "std::vector<std::byte>", {{bytes{}}, {bytes{std::byte{0}}, "\\x00"}, {all_bytes()}});
    const auto id = boost::uuids::string_generator{}("01234567-89ab-cdef-0123-456789abcdef");
    t.both_ways<uuid>("uuid", "boost::uuids::uuid", {{id, "01234567-89ab-cdef-0123-456789abcdef"}, {uuid{}}});
    const value object{{"a", {1, 2.5, nullptr, true, "\u00fc\""}}, {"b", boost::json::object{}}};
    for (const std::string pg : {"jsonb", "json"}) {
        t.both_ways<value>(pg, "boost::json::value", {{object}, {value(nullptr), "null"}, {value("x"), "\"x\""}});
    }
}

void add_times(traffic& t) {
    const std::vector<shown<micro_time>> points{
        {at(1970y / 1 / 1), "1970-01-01 00:00:00+00"},
        {at(1969y / 12 / 31, 86'399'999'999us), "1969-12-31 23:59:59.999999+00"},
        {at(2000y / 1 / 1), "2000-01-01 00:00:00+00"},
        {at(2038y / 1 / 20), "2038-01-20 00:00:00+00"},
        {at(1y / 1 / 1), "0001-01-01 00:00:00+00"},
        {at(year{-4712} / 1 / 1), "4713-01-01 00:00:00+00 BC"},
        {at(year{32'767} / 12 / 31, 1us), "32767-12-31 00:00:00.000001+00"}};
    t.both_ways<micro_time>("timestamptz", "std::chrono::sys_time<std::chrono::microseconds>", points);
    using nano_time = std::chrono::system_clock::time_point;
    t.both_ways<nano_time>("timestamptz", "std::chrono::system_clock::time_point",
                           {{nano_time{at(1677y / 9 / 22)}}, {nano_time{at(2262y / 4 / 10)}}});
    t.both_ways<micro_local>("timestamp", "std::chrono::local_time<std::chrono::microseconds>",
                             {{on_the_wall(1969y / 12 / 31, 1us), "1969-12-31 00:00:00.000001"},
                              {on_the_wall(9999y / 12 / 31), "9999-12-31 00:00:00"}});
    t.both_ways<sys_days>("date", "std::chrono::sys_days",
                          {{sys_days{1969y / 12 / 31}, "1969-12-31"},
                           {sys_days{2038y / 1 / 20}, "2038-01-20"},
                           {sys_days{year{-4712} / 1 / 1}, "4713-01-01 BC"}});
    t.both_ways<year_month_day>("date", "std::chrono::year_month_day",
                                {{2024y / 2 / 29, "2024-02-29"}, {year{32'767} / 12 / 31, "32767-12-31"}});
    t.both_ways<trunkline::interval>(
        "interval", "trunkline::interval",
        {{{.months = 14, .days = 3, .time = 14'706'789ms}, "1 year 2 mons 3 days 04:05:06.789"},
         {{.months = -1, .days = 2, .time = -1us}, "-1 mons +2 days -00:00:00.000001"},
         {{}, "00:00:00"},
         {{.months = std::numeric_limits<std::int32_t>::min()}},
         {{.days = std::numeric_limits<std::int32_t>::max()}}});
    t.both_ways<microseconds>("interval", "std::chrono::microseconds",
                              {{1'500'000us, "00:00:01.5"}, {-1us, "-00:00:00.000001"}, {0us, "00:00:00"}});
    t.one_way<microseconds>("time", "std::chrono::microseconds", "time '23:59:59.999999'", 86'399'999'999us);
}

void add_arrays(traffic& t) {
    using ints = std::vector<std::int32_t>;
    using maybe_ints = std::vector<std::optional<std::int32_t>>;
    t.both_ways<ints>("integer[]", "std::vector<std::int32_t>", {{ints{}, "{}"}, {ints{1, -2, 3}, "{1,-2,3}"}});
    t.both_ways<maybe_ints>(
        "integer[]", "std::vector<std::optional<std::int32_t>>",
        {{maybe_ints{1, std::nullopt}, "{1,NULL}"}, {maybe_ints{std::nullopt}, "{NULL}"}, {maybe_ints{}, "{}"}});
    using table = std::vector<ints>;
    t.both_ways<table>("integer[]", "std::vector<std::vector<std::int32_t>>",
                       {{table{{1, 2}, {3, 4}, {5, 6}}, "{{1,2},{3,4},{5,6}}"}, {table{}, "{}"}});
    using cube = std::vector<table>;
    t.both_ways<cube>("integer[]", "std::vector<std::vector<std::vector<std::int32_t>>>",
                      {{cube{{{1, 2}}, {{3, 4}}}, "{{{1,2}},{{3,4}}}"}});
    using texts = std::vector<std::string>;
    t.both_ways<texts>("text[]", "std::vector<std::string>",
                       {{texts{}, "{}"}, {texts{"", "NULL", "a,b", "\"{}\\"}, R"({"","NULL","a,b","\"{}\\"})"}});
    t.both_ways<std::vector<bool>>("boolean[]", "std::vector<bool>", {{{true, false}, "{t,f}"}, {{}, "{}"}});
    t.both_ways<std::vector<std::int16_t>>("smallint[]", "std::vector<std::int16_t>", {{{-1, 1}, "{-1,1}"}});
    t.both_ways<std::vector<std::int64_t>>("bigint[]", "std::vector<std::int64_t>", {{{-1, 1}, "{-1,1}"}});
    t.both_ways<std::vector<float>>("real[]", "std::vector<float>", {{{1.5F}, "{1.5}"}});
    t.both_ways<std::vector<double>>("double precision[]", "std::vector<double>", {{{1.5, -2}, "{1.5,-2}"}});
    t.both_ways<std::vector<numeric>>("numeric[]", "std::vector<trunkline::numeric>", {{{numeric{"1.10"}}, "{1.10}"}});
    t.both_ways<std::vector<bytes>>("bytea[]", "std::vector<std::vector<std::byte>>",
                                    {{{bytes{}, bytes{std::byte{1}}}, R"({"\\x","\\x01"})"}});
    t.both_ways<std::vector<micro_time>>("timestamptz[]",
                                         "std::vector<std::chrono::sys_time<std::chrono::microseconds>>",
                                         {{{at(1970y / 1 / 1)}, "{\"1970-01-01 00:00:00+00\"}"}});
    t.both_ways<std::vector<micro_local>>("timestamp[]",
                                          "std::vector<std::chrono::local_time<std::chrono::microseconds>>",
                                          {{{on_the_wall(1970y / 1 / 1)}, "{\"1970-01-01 00:00:00\"}"}});
    t.both_ways<std::vector<sys_days>>("date[]", "std::vector<std::chrono::sys_days>",
                                       {{{sys_days{1970y / 1 / 1}}, "{1970-01-01}"}});
    t.both_ways<std::vector<trunkline::interval>>("interval[]", "std::vector<trunkline::interval>",
                                                  {{{trunkline::interval{.months = 1}}, "{\"1 mon\"}"}});
    t.both_ways<std::vector<uuid>>("uuid[]", "std::vector<boost::uuids::uuid>", {{{uuid{}}}});
    t.both_ways<std::vector<value>>("jsonb[]", "std::vector<boost::json::value>", {{{value(1), value("x")}}});
    t.both_ways<texts>("mood[]", "std::vector<std::string>", {{texts{"happy", "sad"}, "{happy,sad}"}});
}

/// The pairs in the table of the page: PostgreSQL's type and C++'s.
seen_types documented() {
    std::ifstream page{TRUNKLINE_TYPES_PAGE};
    REQUIRE(page);
    seen_types all;
    for (std::string line; std::getline(page, line);) {
        const auto cell = [&](std::size_t from) -> std::pair<std::string, std::size_t> {
            const auto begin = line.find('`', from);
            const auto end = line.find('`', begin + 1);
            return end == std::string::npos ? std::pair{std::string{}, from}
                                            : std::pair{line.substr(begin + 1, end - begin - 1), end + 1};
        };
        if (line.rfind("| `", 0) == 0) {
            const auto [pg, rest] = cell(0);
            all.insert({pg, cell(rest).first});
        }
    }
    return all;
}

}  // namespace

TEST_CASE("every type of the page goes to the server and comes back as it was") {
    traffic all;
    add_numbers(all);
    add_texts(all);
    add_times(all);
    add_arrays(all);
    traffic elsewhere;
    elsewhere.both_ways<micro_time>("timestamptz", "std::chrono::sys_time<std::chrono::microseconds>",
                                    {{at(2024y / 7 / 1), "2024-06-30 20:00:00-04"}});
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("types", {.min = 1, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        co_await held->execute("SET TimeZone = 'UTC'");
        co_await held->execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')");
        co_await held->execute("SET search_path = pg_temp, public");
        co_await all.run(*held);
        co_await held->execute("SET TimeZone = 'America/New_York'");
        co_await elsewhere.run(*held);
        held.release();
        co_await pool.close(1s);
    });
    const auto& seen = all.types();
    const auto listed = documented();
    for (const auto& [pg, cpp] : seen) {
        INFO(pg << " as " << cpp << " is not in docs/reference/types.md");
        CHECK(listed.count({pg, cpp}) == 1);
    }
    for (const auto& [pg, cpp] : listed) {
        INFO(pg << " as " << cpp << " is in docs/reference/types.md, and is not tested here");
        CHECK(seen.count({pg, cpp}) == 1);
    }
}

TEST_CASE("an array of a type of one's own goes to the server, also where nothing in it tells the type") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("own_type", {.min = 0, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        const std::vector<celsius> some{{20.5}, {-3}};
        const std::vector<celsius> none;
        const std::vector<std::optional<celsius>> nulls{std::nullopt};
        const auto rows =
            co_await pool.query("SELECT $1::float8[]::text, $2::float8[]::text, $3::float8[]::text", some, none, nulls);
        for (const auto& [first, second, third] : rows.rows<std::string, std::string, std::string>()) {
            CHECK(first == "{20.5,-3}");
            CHECK(second == "{}");
            CHECK(third == "{NULL}");
        }
        const auto back = co_await pool.query("SELECT $1::float8[]", some);
        const auto read = back[0].get<std::vector<celsius>>(0);
        CHECK(read.size() == 2);
        CHECK(read[1].degrees == -3);
        co_await pool.close(1s);
    });
}
