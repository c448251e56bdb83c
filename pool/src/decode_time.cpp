#include "decoding.hpp"

#include <trunkline/parameters.hpp>

#include <chrono>
#include <limits>

// Days, times and intervals. PostgreSQL counts from 2000, C++ from 1970.

namespace trunkline::detail {

namespace {

using std::chrono::days;
using std::chrono::microseconds;

constexpr std::int64_t microseconds_1970_to_2000 = 946'684'800'000'000;
constexpr std::int32_t days_1970_to_2000 = 10'957;

template <typename Signed>
constexpr bool is_infinite(Signed value) noexcept {
    return value == std::numeric_limits<Signed>::max() || value == std::numeric_limits<Signed>::min();
}

/// The infinities, and what is so late that it can no longer be counted from 1970 (in the year 294,247).
template <typename Signed>
Signed since_1970(const field& from, Signed since_2000, Signed offset) {
    if (is_infinite(since_2000) || since_2000 > std::numeric_limits<Signed>::max() - offset) {
        fail(pool_errc::value_out_of_range, from, "holds a time (maybe infinity) that C++ cannot hold");
    }
    return since_2000 + offset;
}

}  // namespace

microseconds decode_timestamp(const field& from, bool on_the_wall) {
    const bool fits = from.type() == oid::timestamp || (from.type() == oid::timestamptz && !on_the_wall);
    if (!fits) {
        wrong_type(from, on_the_wall ? "a local time" : "a time point");
    }
    const auto value = static_cast<std::int64_t>(big_endian<std::uint64_t>(from));
    return microseconds{since_1970(from, value, microseconds_1970_to_2000)};
}

std::chrono::sys_days decode_date(const field& from) {
    if (from.type() != oid::date) {
        wrong_type(from, "a date");
    }
    const auto value = static_cast<std::int32_t>(big_endian<std::uint32_t>(from));
    return std::chrono::sys_days{days{since_1970(from, value, days_1970_to_2000)}};
}

std::chrono::year_month_day decode_calendar_date(const field& from) {
    const auto day = decode_date(from);
    constexpr std::chrono::sys_days first{std::chrono::year::min() / std::chrono::January / 1};
    constexpr std::chrono::sys_days last{std::chrono::year::max() / std::chrono::December / 31};
    if (day < first || day > last) {
        fail(pool_errc::value_out_of_range, from, "holds a day whose year std::chrono::year cannot hold");
    }
    return day;
}

interval decode_interval(const field& from) {
    if (from.type() != oid::interval) {
        wrong_type(from, "an interval");
    }
    byte_reader reader{from};
    interval value;
    value.time = microseconds{static_cast<std::int64_t>(reader.take<std::uint64_t>())};
    value.days = static_cast<std::int32_t>(reader.take<std::uint32_t>());
    value.months = static_cast<std::int32_t>(reader.take<std::uint32_t>());
    reader.end();
    return value;
}

microseconds decode_duration(const field& from) {
    if (from.type() == oid::time) {  // since midnight
        return microseconds{static_cast<std::int64_t>(big_endian<std::uint64_t>(from))};
    }
    if (from.type() != oid::interval) {
        wrong_type(from, "a duration");
    }
    const auto value = decode_interval(from);
    if (value.months != 0 || value.days != 0) {
        fail(pool_errc::value_out_of_range, from,
             "holds months or days, which have no fixed length; ask for trunkline::interval");
    }
    return value.time;
}

void throw_time_out_of_range(const field& from) {
    fail(pool_errc::value_out_of_range, from, "holds a time that the C++ type asked for cannot hold");
}

void add_timestamp(parameters& to, std::uint32_t type, std::optional<microseconds> since_1970) {
    // MIN_TIMESTAMP and END_TIMESTAMP of the server's timestamp.h, which count from 2000; the end is beyond what counts
    // from 1970.
    constexpr microseconds first{-211'813'488'000'000'000 + microseconds_1970_to_2000};
    if (!since_1970 || *since_1970 < first) {
        throw error{pool_errc::invalid_value, to.next_name() + " is a time that PostgreSQL does not hold"};
    }
    add_big_endian(to, type, static_cast<std::uint64_t>(since_1970->count() - microseconds_1970_to_2000));
}

void add_date(parameters& to, std::chrono::sys_days day) {
    // 4714-11-24 BC, and the first day that is too late (date.h), from 2000.
    constexpr std::int64_t first = -2'451'545;
    constexpr std::int64_t end = 2'145'031'949;
    const std::int64_t since_1970 = day.time_since_epoch().count();
    if (since_1970 < first + days_1970_to_2000 || since_1970 >= end + days_1970_to_2000) {
        throw error{pool_errc::invalid_value, to.next_name() + " is a day that PostgreSQL does not hold"};
    }
    add_big_endian(to, oid::date, static_cast<std::uint32_t>(since_1970 - days_1970_to_2000));
}

void add_duration(parameters& to, std::optional<microseconds> value) {
    if (!value) {
        throw error{pool_errc::invalid_value, to.next_name() + " is a duration that PostgreSQL does not hold"};
    }
    to.add(interval{.time = *value});
}

}  // namespace trunkline::detail

namespace trunkline {

void parameter_traits<std::chrono::year_month_day>::encode(parameters& to, const std::chrono::year_month_day& value) {
    if (!value.ok()) {
        throw error{pool_errc::invalid_value, to.next_name() + " is a day that no calendar has"};
    }
    detail::add_date(to, std::chrono::sys_days{value});
}

void parameter_traits<interval>::encode(parameters& to, const interval& value) {
    std::byte bytes[16];
    detail::put_big_endian(bytes, static_cast<std::uint64_t>(value.time.count()));
    detail::put_big_endian(bytes + 8, static_cast<std::uint32_t>(value.days));
    detail::put_big_endian(bytes + 12, static_cast<std::uint32_t>(value.months));
    to.add_binary(oid, bytes);
}

}  // namespace trunkline
