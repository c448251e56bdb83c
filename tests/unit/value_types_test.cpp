#include "support/catch.hpp"

#include <trunkline/json.hpp>
#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>
#include <trunkline/value_types.hpp>

#include <boost/describe/class.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace trunkline;
using namespace std::chrono;
using namespace std::string_literals;

template <typename Body>
error refusal_of(Body body) {
    try {
        body();
    } catch (const error& refused) {
        return refused;
    }
    FAIL("nothing was refused");
    return error{pool_errc::invalid_value, "unreachable"};
}

/// A value as if it had come from a server.
struct sent {
    sent(std::uint32_t type, const std::string& text) : type_{type}, text_{text} {}
    [[nodiscard]] field get() const {
        return {"v", type_, std::as_bytes(std::span{text_.data(), text_.size()}), "SELECT v"};
    }
    std::uint32_t type_;
    std::string text_;
};

template <typename T>
pool_errc reading(std::uint32_t type, const std::string& bytes) {
    const sent value{type, bytes};
    const auto refused = refusal_of([&] { (void)field_traits<T>::decode(value.get()); });
    CHECK(std::string{refused.what()}.find("column \"v\"") != std::string::npos);
    CHECK(std::string{refused.what()}.find("the statement: SELECT v") != std::string::npos);
    return static_cast<pool_errc>(refused.code().value());
}

constexpr std::uint32_t int4 = 23, json = 114, date = 1082, time_of_day = 1083, interval_type = 1186,
                        numeric_type = 1700, timestamp = 1114, timestamptz = 1184, int4_array = 1007;

/// What stands in front of an array's elements.
std::string head(int dimensions, std::uint32_t type, std::vector<int> sizes) {
    std::string all;
    const auto put = [&](std::uint32_t number) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            all += static_cast<char>(number >> shift);
        }
    };
    put(static_cast<std::uint32_t>(dimensions));
    put(0);
    put(type);
    for (const int size : sizes) {
        put(static_cast<std::uint32_t>(size));
        put(1);
    }
    return all;
}

struct point {
    std::int32_t x = 0;
    std::optional<std::string> label;
};

/// A type whose parameters are text, or, wrongly, a number.
struct moody {
    std::string mood;
};

struct described {
    std::int32_t x = 0;
    std::string label;
};
BOOST_DESCRIBE_STRUCT(described, (), (x, label))

}  // namespace

template <>
struct trunkline::parameter_traits<moody> {
    static void encode(trunkline::parameters& to, const moody& value) {
        if (value.mood.empty()) {
            to.add(1);
        } else {
            to.add(value.mood);
        }
    }
};

namespace {

/// Two columns, `label` (text) and `x` (int4), in that order; one row, the first value maybe NULL.
result two_columns(const char* label) {
    PGresult* const data = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    char first[] = "label";
    char second[] = "x";
    PGresAttDesc columns[2]{{first, 0, 0, 1, 25, -1, -1}, {second, 0, 0, 1, int4, 4, -1}};
    PQsetResultAttrs(data, 2, columns);
    std::string text = label == nullptr ? "" : label;
    PQsetvalue(data, 0, 0, label == nullptr ? nullptr : text.data(),
               label == nullptr ? -1 : static_cast<int>(text.size()));
    char seven[] = {0, 0, 0, 7};
    PQsetvalue(data, 0, 1, seven, 4);
    return result{data, "SELECT label, x FROM points"};
}

}  // namespace

TEST_CASE("what is no decimal number is refused in words") {
    for (const auto* const wrong : {"", "-", ".", "1e5", "1,5", " 1", "1 ", "0x10", "nan", "inf", "1.2.3", "--1"}) {
        INFO(wrong);
        CHECK(refusal_of([&] { (void)numeric{wrong}; }).code() == pool_errc::invalid_value);
    }
    for (const auto* const right : {"1.", ".5", "+1", "-0", "NaN", "-Infinity"}) {
        CHECK(numeric{right}.text() == right);
    }
    CHECK(refusal_of([] { (void)numeric{"1." + std::string(16'384, '0')}; }).code() == pool_errc::invalid_value);
}

TEST_CASE("a day that no calendar has, and times that PostgreSQL does not hold, are refused before anything is sent") {
    parameters to;
    CHECK(refusal_of([&] { to.add(2023y / February / 30); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(sys_days::max()); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(sys_time<microseconds>::min()); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(sys_days::min()); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(year_month_day{}); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(year{-4'713} / November / 23); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(sys_time<microseconds>{sys_days{year{-4'713} / 11 / 24}} - 1us); }).code() ==
          pool_errc::invalid_value);
    const char* const none = nullptr;
    CHECK(refusal_of([&] { to.add(none); }).code() == pool_errc::invalid_value);
    CHECK(to.empty());
}

TEST_CASE("a duration that microseconds cannot hold is refused, of whatever type it is") {
    parameters to;
    const auto is_refused = [&](const auto& value) {
        const auto refused = refusal_of([&] { to.add(value); });
        CHECK(refused.code() == pool_errc::invalid_value);
        CHECK(std::string{refused.what()}.find("parameter $1 is a ") != std::string::npos);
    };
    is_refused(seconds::max());
    is_refused(seconds::min());
    is_refused(hours::max());
    is_refused(sys_time<seconds>::max());
    is_refused(sys_time<seconds>::min());
    is_refused(local_time<milliseconds>::max());
    is_refused(duration<double>{std::numeric_limits<double>::infinity()});
    is_refused(duration<double>{std::numeric_limits<double>::quiet_NaN()});
    is_refused(duration<double>{-9.3e12});
    is_refused(duration<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()});
    is_refused(duration<std::int64_t, std::ratio<1, 3>>::max());
    CHECK(to.empty());
}

TEST_CASE("times are rounded down to microseconds, at their limits too") {
    const auto sent_as = [](const auto& value) {
        parameters to;
        to.add(value);
        const auto bytes = to.bytes();
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            count = count << 8 | static_cast<std::uint64_t>(bytes[i]);
        }
        return static_cast<std::int64_t>(count);
    };
    CHECK(sent_as(-1ns) == -1);
    CHECK(sent_as(1'999ns) == 1);
    CHECK(sent_as(nanoseconds::min()) == nanoseconds::min().count() / 1'000 - 1);
    CHECK(sent_as(nanoseconds::max()) == nanoseconds::max().count() / 1'000);
    CHECK(sent_as(microseconds::max()) == microseconds::max().count());
    CHECK(sent_as(floor<seconds>(microseconds::max())) == 9'223'372'036'854'000'000);
    CHECK(sent_as(duration<double>{0.3}) == 300'000);  // to the nearest: 0.3 has no exact double
    CHECK(sent_as(duration<double>{-0.3}) == -300'000);
    CHECK(sent_as(duration<std::int64_t, std::ratio<1, 30>>{-1}) == -33'334);
    CHECK(sent_as(duration<std::uint32_t>{4'294'967'295U}) == 4'294'967'295'000'000);
}

TEST_CASE("times are read as durations with a fraction, whatever their unit") {
    const sent one_and_a_half{interval_type, "\0\0\0\0\0\x16\xe3\x60\0\0\0\0\0\0\0\0"s};
    CHECK(field_traits<duration<double>>::decode(one_and_a_half.get()).count() == 1.5);
    CHECK(field_traits<microseconds>::decode(one_and_a_half.get()) == 1'500ms);
}

TEST_CASE("the inner vectors of an array have the same length, and there are six dimensions at most") {
    parameters to;
    const std::vector<std::vector<int>> ragged{{1, 2}, {3}};
    const auto refused = refusal_of([&] { to.add(ragged); });
    CHECK(refused.code() == pool_errc::invalid_value);
    CHECK(std::string{refused.what()}.find("2 and 1 elements") != std::string::npos);
    using three = std::vector<std::vector<std::vector<int>>>;
    const std::vector<std::vector<std::vector<std::vector<three>>>> seven{{{{three{{{1}}}}}}};
    CHECK(refusal_of([&] { to.add(seven); }).code() == pool_errc::invalid_value);
    CHECK(to.empty());
}

TEST_CASE("what is wrong with an element of an array is said of that element and its parameter") {
    parameters to;
    to.add(1);
    const auto words_of = [&](const auto& array) {
        const auto refused = refusal_of([&] { to.add(array); });
        return std::string{refused.what()};
    };
    CHECK(words_of(std::vector<year_month_day>{2023y / May / 1, 2023y / February / 30})
              .find("element 2 of parameter $2 is a day that no calendar has") != std::string::npos);
    const std::vector<std::string> with_nul{"a", "b\0c"s};
    CHECK(words_of(with_nul).find("element 2 of parameter $2 is text that holds a NUL byte") != std::string::npos);
    CHECK(words_of(std::vector<moody>{{"sad"}, {}}).find("elements differ in their type") != std::string::npos);
    CHECK(to.size() == 1);
}

TEST_CASE("the type of an array is known without its elements where it can be, else it is the server's to infer") {
    const auto entry_of = [](const auto& value) {
        parameters to;
        to.add(value);
        return to.entries().front();
    };
    CHECK(entry_of(std::vector<year_month_day>{}).type == 1182);
    CHECK(entry_of(std::vector<std::optional<double>>{std::nullopt}).type == 1022);
    CHECK(entry_of(std::vector<std::string>{}).type == 1009);
    CHECK(entry_of(std::vector<moody>{{"sad"}}).type == 1009);
    CHECK_FALSE(entry_of(std::vector<moody>{}).binary);
    CHECK(entry_of(std::optional<int>{}).type == int4);  // NULL, as what would be there
    CHECK(entry_of(std::optional<std::vector<int>>{}).type == int4_array);
    CHECK(entry_of(std::optional<std::string>{}).type == 0);
    const char unterminated[2] = {'a', 'b'};
    CHECK(entry_of(unterminated).length == 2);
    CHECK(entry_of("abc").length == 3);
    parameters to;
    to.add(std::vector<std::vector<std::optional<moody>>>{{std::nullopt, std::nullopt}, {std::nullopt, std::nullopt}});
    const auto text = to.bytes();
    CHECK(std::string(reinterpret_cast<const char*>(text.data()), text.size() - 1) == "{{NULL,NULL},{NULL,NULL}}");
}

TEST_CASE("JSON that is infinite is refused, and JSON is read a thousand levels deep") {
    parameters to;
    const boost::json::value infinite{1, {{"x", std::numeric_limits<double>::infinity()}}};
    CHECK(refusal_of([&] { to.add(infinite); }).code() == pool_errc::invalid_value);
    CHECK(refusal_of([&] { to.add(boost::json::value(std::nan(""))); }).code() == pool_errc::invalid_value);
    CHECK(to.empty());
    CHECK(reading<boost::json::value>(json, "1e999") == pool_errc::value_out_of_range);
    CHECK(reading<boost::json::value>(json, "{") == pool_errc::wrong_type);
    for (const auto& with_nul : {boost::json::value("a\0b"s), boost::json::value{{"a\0b"s, 1}, {"c", 2}}}) {
        CHECK(refusal_of([&] { parameters{}.add(with_nul); }).code() == pool_errc::invalid_text);
    }
    const sent deep{json, std::string(1'000, '[') + std::string(1'000, ']')};
    CHECK(field_traits<boost::json::value>::decode(deep.get()).is_array());
    CHECK(reading<boost::json::value>(json, std::string(1'001, '[') + std::string(1'001, ']')) ==
          pool_errc::wrong_type);
}

TEST_CASE("infinities and times that C++ cannot hold are out of range") {
    const std::string latest{"\x7f\xff\xff\xff\xff\xff\xff\xff"};
    const std::string earliest{"\x80\0\0\0\0\0\0\0"s};
    CHECK(reading<sys_time<microseconds>>(timestamptz, latest) == pool_errc::value_out_of_range);
    CHECK(reading<local_time<microseconds>>(timestamp, earliest) == pool_errc::value_out_of_range);
    CHECK(reading<sys_days>(date, "\x7f\xff\xff\xff") == pool_errc::value_out_of_range);
    CHECK(reading<year_month_day>(date, "\x7f\xff\xff\xfe") == pool_errc::value_out_of_range);
    CHECK(reading<nanoseconds>(time_of_day, "\x7f\xff\xff\xff\xff\xff\xff\xfe") == pool_errc::value_out_of_range);
    CHECK(reading<microseconds>(interval_type, "\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0"s) == pool_errc::value_out_of_range);
}

TEST_CASE("types that do not fit are refused, with the column, both types and the statement") {
    CHECK(reading<numeric>(int4, "\0\0\0\1"s) == pool_errc::wrong_type);
    CHECK(reading<sys_days>(timestamp, "\0\0\0\0\0\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<local_time<microseconds>>(timestamptz, "\0\0\0\0\0\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<interval>(time_of_day, "\0\0\0\0\0\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4, "\0\0\0\1"s) == pool_errc::wrong_type);
    const sent value{int4, "\0\0\0\1"s};
    const auto refused = refusal_of([&] { (void)field_traits<numeric>::decode(value.get()); });
    CHECK(std::string{refused.what()}.find("of type integer cannot be read as a numeric") != std::string::npos);
}

TEST_CASE("what is no value of its type is refused, whatever is wrong with it") {
    CHECK(reading<numeric>(numeric_type, "\0\1\0\0\0\0\0\0"s) == pool_errc::wrong_type);          // a digit is missing
    CHECK(reading<numeric>(numeric_type, "\0\1\0\0\0\0\0\0\x27\x10"s) == pool_errc::wrong_type);  // 10,000 is no digit
    CHECK(reading<numeric>(numeric_type, "\0\0\0\0\x12\x34\0\0"s) == pool_errc::wrong_type);      // no such sign
    CHECK(reading<interval>(interval_type, "\0\0\0\0\0\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<sys_days>(date, "\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, "\0\0\0\0"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(1, int4, {2}) + "\0\0\0\4\0\0\0\1"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(1, int4, {0x7fffffff})) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(7, int4, {})) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(2, int4, {1, 1}) + "\0\0\0\4\0\0\0\1"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(1, int4, {1}) + "\0\0\0\4\0\0\0\1x"s) == pool_errc::wrong_type);
    CHECK(reading<std::vector<int>>(int4_array, head(1, int4, {1}) + "\xff\xff\xff\xff"s) ==
          pool_errc::unexpected_null);
    using table = std::vector<std::vector<int>>;
    CHECK(reading<std::vector<int>>(int4_array, head(1, int4, {0})) == pool_errc::wrong_type);
    CHECK(reading<table>(int4_array, head(2, int4, {2, 0}) + std::string(8, '\0')) == pool_errc::wrong_type);
    CHECK(reading<table>(int4_array, head(2, int4, {3, 3}) + std::string(32, '\xff')) == pool_errc::wrong_type);
    CHECK(reading<numeric>(numeric_type, "\0\0\0\0\0\0\x40\0"s) == pool_errc::wrong_type);  // 16,384 decimals
}

TEST_CASE("rows are read as tuples and as structs, by name where the struct is described, else by position") {
    const auto rows = two_columns("seven");
    REQUIRE(rows.rows<std::string, int>().size() == 1);
    for (const auto& [label, x] : rows.rows<std::string, int>()) {
        CHECK(label == "seven");
        CHECK(x == 7);
    }
    const auto by_name = rows.into<described>();
    REQUIRE(by_name.size() == 1);
    CHECK(by_name[0].x == 7);
    CHECK(by_name[0].label == "seven");
    struct in_order {
        std::optional<std::string> label;
        std::int64_t x = 0;
    };
    CHECK(rows.into<in_order>()[0].label == "seven");
    CHECK_FALSE(two_columns(nullptr).into<in_order>()[0].label.has_value());
}

TEST_CASE("rows that do not fit a struct or a tuple are refused with what there is") {
    const auto rows = two_columns("seven");
    const auto fewer = refusal_of([&] { (void)rows.rows<int>(); });
    CHECK(fewer.code() == pool_errc::no_such_column);
    CHECK(std::string{fewer.what()}.find("1 column asked for; the result has 2: label, x") != std::string::npos);
    CHECK(refusal_of([&] { (void)rows.into<point>(); }).code() == pool_errc::wrong_type);
    const auto null = two_columns(nullptr);
    const auto refused = refusal_of([&] { (void)null.into<described>(); });
    CHECK(refused.code() == pool_errc::unexpected_null);
    CHECK(std::string{refused.what()}.find("SELECT label, x FROM points") != std::string::npos);
    for (const auto& missing :
         {refusal_of([&] { (void)rows.column_number("y"); }), refusal_of([&] { (void)rows.column_name(2); }),
          refusal_of([&] { (void)rows[0][2]; }), fewer}) {
        CHECK(std::string{missing.what()}.find("SELECT label, x FROM points") != std::string::npos);
    }
}

TEST_CASE("a result that was moved from has no rows and no statement, and its rows are those of the other") {
    auto from = two_columns("seven");
    const auto to = std::move(from);
    CHECK(from.empty());  // NOLINT(bugprone-use-after-move)
    CHECK(std::string{refusal_of([&] { (void)from.column_name(0); }).what()}.find("SELECT") == std::string::npos);
    CHECK(to[0].get<std::string>("label") == "seven");
    CHECK(refusal_of([&] { (void)to[1].get<int>(1); }).code() == pool_errc::no_such_row);
    CHECK(two_columns("seven").into<described>()[0].label == "seven");  // of a result without a name
    struct views {
        std::string_view label;
        int x = 0;
    };
    CHECK(to.into<views>()[0].label == "seven");
}

TEST_CASE("a statement is named with its first thousand bytes, and whole characters") {
    PGresult* const data = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::string sql(999, 'x');
    const result rows{data, sql + "\u00fc and more"};
    const std::string words = refusal_of([&] { (void)rows.column_number("y"); }).what();
    CHECK(words.find(sql) != std::string::npos);
    CHECK(words.find('\xc3') == std::string::npos);
}
