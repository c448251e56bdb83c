#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "type_traffic.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// The outermost values that both a type of PostgreSQL and one of C++ hold, and the first ones beyond.
namespace asio = boost::asio;
using namespace std::chrono;
using namespace trunkline;
using namespace trunkline::test;

namespace {

using micro_time = sys_time<microseconds>;
using micro_local = local_time<microseconds>;
using nano_time = sys_time<nanoseconds>;
using trunkline::interval;

// PostgreSQL's calendar begins with the Julian day 0; its last day is beyond the years of std::chrono::year.
constexpr year_month_day first_day = year{-4713} / 11 / 24;
constexpr sys_days last_day{days{2'145'042'905}};

template <typename Time>
constexpr Time first_time() {
    return Time{sys_days{first_day}.time_since_epoch()};
}

/// Runs `body(connection&)` in a session whose time zone is UTC.
template <typename Body>
void in_session(Body body) {
    asio::io_context context;
    pool lines{context.get_executor(), fixture::settings("types_limits", {.min = 0, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        {
            auto held = co_await lines.acquire();
            co_await held->execute("SET TimeZone = 'UTC'");
            co_await body(*held);
        }
        co_await lines.close(1s);
    });
}

/// How it is to read that as a T: no code if it goes well.
template <typename T>
asio::awaitable<error_code> reading(connection& through, std::string sql) {
    const auto rows = co_await through.query("SELECT " + sql);
    error_code how;
    try {
        (void)rows[0].template get<T>(0);
    } catch (const error& refused) {
        how = refused.code();
    }
    co_return how;
}

/// Each of those.
template <typename T>
asio::awaitable<void> all_are_out_of_range(connection& through, std::vector<std::string> all) {
    for (const auto& sql : all) {
        INFO(sql);
        const auto plain = co_await reading<T>(through, sql);
        CHECK(plain == pool_errc::value_out_of_range);
        const auto optional = co_await reading<std::optional<T>>(through, sql);
        CHECK(optional == pool_errc::value_out_of_range);
    }
}

/// What refuses a parameter, before anything is sent.
template <typename T>
error_code sending(connection& through, const T& value) {
    try {
        (void)through.query("SELECT $1", value);
    } catch (const error& refused) {
        return refused.code();
    }
    return {};
}

traffic outermost_times() {
    traffic t;
    t.both_ways<micro_time>("timestamptz", "microseconds",
                            {{first_time<micro_time>(), "4714-11-24 00:00:00+00 BC"},
                             {micro_time::max() - 1us, "294247-01-10 04:00:54.775806+00"},
                             {micro_time::max(), "294247-01-10 04:00:54.775807+00"}});
    t.both_ways<micro_local>(
        "timestamp", "microseconds",
        {{first_time<micro_local>(), "4714-11-24 00:00:00 BC"}, {micro_local::max(), "294247-01-10 04:00:54.775807"}});
    t.both_ways<nano_time>("timestamptz", "nanoseconds",
                           {{ceil<microseconds>(nano_time::min()), "1677-09-21 00:12:43.145225+00"},
                            {floor<microseconds>(nano_time::max()), "2262-04-11 23:47:16.854775+00"}});
    t.both_ways<sys_days>("date", "sys_days", {{first_day, "4714-11-24 BC"}, {last_day, "5874897-12-31"}});
    t.both_ways<year_month_day>(
        "date", "year_month_day",
        {{first_day, "4714-11-24 BC"}, {year{0} / 12 / 31, "0001-12-31 BC"}, {year::max() / 12 / 31, "32767-12-31"}});
    return t;
}

traffic outermost_intervals() {
    using limits = std::numeric_limits<std::int32_t>;
    traffic t;
    // One part at a time: from PostgreSQL 17 on all three together are an infinity.
    t.both_ways<interval>("interval", "interval",
                          {{{.months = limits::min()}, "-178956970 years -8 mons"},
                           {{.months = limits::max()}, "178956970 years 7 mons"},
                           {{.days = limits::min()}, "-2147483648 days"},
                           {{.days = limits::max()}, "2147483647 days"},
                           {{.time = microseconds::min()}, "-2562047788:00:54.775808"},
                           {{.time = microseconds::max()}, "2562047788:00:54.775807"},
                           {{.months = limits::max(), .days = -1, .time = microseconds::max()},
                            "178956970 years 7 mons -1 days +2562047788:00:54.775807"}});
    t.both_ways<microseconds>(
        "interval", "microseconds",
        {{microseconds::min(), "-2562047788:00:54.775808"}, {microseconds::max(), "2562047788:00:54.775807"}});
    using fraction = duration<double>;
    t.both_ways<fraction>("interval", "duration<double>",
                          {{fraction{1.5}, "00:00:01.5"},
                           {fraction{-0.25}, "-00:00:00.25"},
                           {fraction{0.1}, "00:00:00.1"},
                           {fraction{1'000'000'000.000001}, "277777:46:40.000001"},
                           {fraction{9'223'372'036'854.0}, "2562047788:00:54"},
                           {fraction{-9'223'372'036'854.0}, "-2562047788:00:54"}});
    t.both_ways<duration<double, std::milli>>("interval", "duration<double, std::milli>",
                                              {{duration<double, std::milli>{0.5}, "00:00:00.0005"}});
    return t;
}

template <typename T>
std::vector<T> one(T a) {
    return std::vector<T>{std::move(a)};
}
template <typename T>
std::vector<T> two(T a, T b) {
    return std::vector<T>{std::move(a), std::move(b)};
}

}  // namespace

TEST_CASE("times and days reach the server as far as both sides reach, and one step further is refused") {
    const auto times = outermost_times();
    in_session([&](connection& through) -> asio::awaitable<void> {
        co_await times.run(through);
        const std::vector<error_code> refused{
            sending(through, first_time<micro_time>() - 1us),
            sending(through, first_time<micro_local>() - 1us),
            sending(through, micro_time::min()),
            sending(through, micro_local::min()),
            sending(through, floor<seconds>(micro_time::max()) + 1s),  // microseconds from 1970 do not count so far
            sending(through, sys_days{first_day} - days{1}),
            sending(through, last_day + days{1}),
            sending(through, year{-4713} / 11 / 23),
            sending(through, year::min() / 1 / 1),
        };
        for (const auto& how : refused) {
            CHECK(how == pool_errc::invalid_value);
        }
    });
}

TEST_CASE("times and days that the server holds and the C++ type does not are out of range, the infinities too") {
    in_session([](connection& through) -> asio::awaitable<void> {
        std::vector<std::string> late{"'294247-01-10 04:00:54.775808'", "'294276-12-31 23:59:59.999999'", "'infinity'",
                                      "'-infinity'"};
        std::vector<std::string> moments;
        std::vector<std::string> walls;
        for (const auto& text : late) {
            moments.push_back("timestamptz " + text);
            walls.push_back("timestamp " + text);
        }
        co_await all_are_out_of_range<micro_time>(through, moments);
        co_await all_are_out_of_range<micro_local>(through, walls);
        co_await all_are_out_of_range<micro_time>(through, walls);
        const std::vector<std::string> of_nanoseconds{
            "timestamptz '1677-09-21 00:12:43.145224'", "timestamptz '2262-04-11 23:47:16.854776'",
            "timestamptz '4714-11-24 00:00:00 BC'", "timestamptz '294247-01-10 04:00:54.775807'"};
        co_await all_are_out_of_range<nano_time>(through, of_nanoseconds);
        const std::vector<std::string> infinite{"date 'infinity'", "date '-infinity'"};
        co_await all_are_out_of_range<sys_days>(through, infinite);
        const std::vector<std::string> of_calendar{"date '32768-01-01'", "date '5874897-12-31'", "date 'infinity'",
                                                   "date '-infinity'"};
        co_await all_are_out_of_range<year_month_day>(through, of_calendar);
    });
}

TEST_CASE("intervals and durations reach the server as far as they go, and none is cut short") {
    const auto intervals = outermost_intervals();
    in_session([&](connection& through) -> asio::awaitable<void> {
        co_await intervals.run(through);
        const std::vector<error_code> refused{
            sending(through, duration<double>{9.3e12}),
            sending(through, duration<double>{-9.3e12}),
            sending(through, floor<seconds>(microseconds::max()) + 1s),
            sending(through, ceil<seconds>(microseconds::min()) - 1s),
        };
        for (const auto& how : refused) {
            CHECK(how == pool_errc::invalid_value);
        }
        const std::vector<std::string> not_fixed{"interval '1 mon'", "interval '1 day'", "interval '-1 day 1 second'"};
        co_await all_are_out_of_range<microseconds>(through, not_fixed);
        co_await all_are_out_of_range<duration<double>>(through, not_fixed);
        const std::vector<std::string> too_long{"interval '2562047:47:16.854776'", "interval '-2562047:47:16.854776'"};
        co_await all_are_out_of_range<nanoseconds>(through, too_long);
    });
}

TEST_CASE("a number has 131,072 digits before the point and 16,383 behind it, and none more") {
    const std::string whole(131'072, '7');
    const std::string behind(16'383, '3');
    traffic t;
    std::vector<shown<numeric>> all;
    for (const auto& text :
         {whole + "." + behind, "-" + whole + "." + behind, whole, "0." + behind, "0." + std::string(16'382, '0') + "1",
          "1." + std::string(16'383, '0'), "1" + std::string(131'071, '0')}) {
        all.push_back({numeric{text}, text});
    }
    t.both_ways<numeric>("numeric", "numeric", all);
    in_session([&](connection& through) -> asio::awaitable<void> { co_await t.run(through); });
    for (const auto& text : {whole + "7", "-" + whole + "7.5", "1." + behind + "3"}) {
        error_code how;
        try {
            (void)numeric{text};
        } catch (const error& refused) {
            how = refused.code();
        }
        CHECK(how == pool_errc::invalid_value);
    }
}

TEST_CASE("arrays have up to six dimensions, and a seventh is refused") {
    using ints = std::vector<std::int32_t>;
    using maybe_ints = std::vector<std::optional<std::int32_t>>;
    const auto four = two(one(two(ints{1, 2}, ints{3, 4})), one(two(ints{5, 6}, ints{7, 8})));
    const std::string text = "{{{{1,2},{3,4}}},{{{5,6},{7,8}}}}";
    const auto five = one(four);
    const auto six = two(five, five);
    const auto seven = one(six);
    const auto with_null = one(one(one(one(two(maybe_ints{1, std::nullopt}, maybe_ints{std::nullopt, 4})))));
    traffic t;
    t.both_ways<std::remove_const_t<decltype(four)>>("integer[]", "four dimensions", {{four, text}});
    t.both_ways<std::remove_const_t<decltype(five)>>("integer[]", "five dimensions", {{five, "{" + text + "}"}});
    t.both_ways<std::remove_const_t<decltype(six)>>("integer[]", "six dimensions",
                                                    {{six, "{{" + text + "},{" + text + "}}"}});
    t.both_ways<std::remove_const_t<decltype(with_null)>>("integer[]", "six dimensions with NULLs",
                                                          {{with_null, "{{{{{{1,NULL},{NULL,4}}}}}}"}});
    in_session([&](connection& through) -> asio::awaitable<void> {
        co_await t.run(through);
        CHECK(sending(through, seven) == pool_errc::invalid_value);
        const std::string in_sql = "'{{" + text + "},{" + text + "}}'::int[]";
        const auto as_five = co_await reading<std::remove_const_t<decltype(five)>>(through, in_sql);
        CHECK(as_five == pool_errc::wrong_type);
        const auto as_seven = co_await reading<std::remove_const_t<decltype(seven)>>(through, in_sql);
        CHECK(as_seven == pool_errc::wrong_type);
    });
}
