#pragma once

#include <trunkline/detail/oid.hpp>
#include <trunkline/error.hpp>
#include <trunkline/value_types.hpp>

#include <boost/type_index.hpp>

#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The values of a result, and how they become C++ values.
namespace trunkline {

namespace detail {
class row_reader;
}

/// One value of a result, as the server sent it in the binary format, or an element of such a value. Valid as long as its
/// result.
class field {
public:
    /// `column` and `statement` must live as long as this.
    field(const char* column, std::uint32_t type, std::optional<std::span<const std::byte>> value,
          const char* statement = "") noexcept
        : bytes_{value.value_or(std::span<const std::byte>{})},
          column_{column},
          statement_{statement},
          type_{type},
          null_{!value} {}

    [[nodiscard]] bool is_null() const noexcept { return null_; }
    /// The value's bytes; empty for NULL.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    /// The OID of its type.
    [[nodiscard]] std::uint32_t type() const noexcept { return type_; }
    [[nodiscard]] std::string_view column() const noexcept { return column_; }
    /// The statement's text, or the first kilobyte of it.
    [[nodiscard]] std::string_view statement() const noexcept { return statement_; }
    /// A part of this value, of its own type, which errors show as of this column.
    [[nodiscard]] field element(std::uint32_t type, std::optional<std::span<const std::byte>> value) const noexcept {
        field part{column_, type, value, statement_};
        part.element_ = true;
        return part;
    }
    [[nodiscard]] bool is_element() const noexcept { return element_; }

private:
    friend class detail::row_reader;
    std::span<const std::byte> bytes_;
    const char* column_;
    const char* statement_;
    std::uint32_t type_;
    bool null_;
    bool element_ = false;
};

/// How a column becomes a C++ value: specialise it with `static T decode(const field&)`, which throws `error` if the
/// type does not fit. It is never called for NULL.
template <typename T>
struct field_traits;

namespace detail {
[[noreturn]] void throw_unexpected_null(const field& from, const std::string& wanted);
bool decode_bool(const field& from);
std::int64_t decode_integer(const field& from, std::int64_t lowest, std::int64_t highest);
float decode_float(const field& from);
double decode_double(const field& from);
std::string_view decode_text(const field& from);
std::span<const std::byte> decode_bytes(const field& from);
std::chrono::microseconds decode_timestamp(const field& from, bool on_the_wall);
std::chrono::sys_days decode_date(const field& from);
std::chrono::year_month_day decode_calendar_date(const field& from);
interval decode_interval(const field& from);
std::chrono::microseconds decode_duration(const field& from);
numeric decode_numeric(const field& from);
std::span<const std::byte> decode_uuid(const field& from);
[[noreturn]] void throw_no_json(const field& from, const std::string& why);
[[noreturn]] void throw_number_out_of_range(const field& from);
[[noreturn]] void throw_time_out_of_range(const field& from);

/// Microseconds as a finer, or equally fine, duration, or as one with a fraction.
template <typename Duration>
Duration checked_time(const field& from, std::chrono::microseconds value) {
    if constexpr (!std::chrono::treat_as_floating_point_v<typename Duration::rep>) {
        static_assert(
            std::ratio_less_equal_v<typename Duration::period, std::micro>,
            "PostgreSQL's times have microseconds, which this type would lose: ask for microseconds, and round them");
        using wide = std::chrono::duration<long double, typename Duration::period>;
        if (wide{value} < wide{Duration::min()} || wide{value} > wide{Duration::max()}) {
            throw_time_out_of_range(from);
        }
    }
    return value;
}

/// The bytes of a number, if the value is of that type; else the slow way says what is wrong, or converts.
template <typename Unsigned>
std::optional<Unsigned> quick_number(const field& from, std::uint32_t type) noexcept {
    if (from.type() != type || from.bytes().size() != sizeof(Unsigned)) {
        return std::nullopt;
    }
    Unsigned value = 0;
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {  // compilers make one load and one byte swap of it
        value = static_cast<Unsigned>((static_cast<std::uint64_t>(value) << 8) |
                                      static_cast<std::uint64_t>(from.bytes()[i]));
    }
    return value;
}

/// The elements of an array, one after another.
class array_reader {
public:
    /// Throws `error` (`wrong_type`) if it is no array, or one of other dimensions; an empty one has any.
    array_reader(const field& from, std::size_t dimensions);

    [[nodiscard]] std::size_t size(std::size_t depth) const noexcept { return sizes_[depth]; }
    [[nodiscard]] field next();
    void end() const;

private:
    std::uint32_t take();

    const field& from_;
    std::span<const std::byte> rest_;
    std::uint32_t element_ = 0;
    std::vector<std::uint32_t> sizes_;
};
template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace detail

template <>
struct field_traits<bool> {
    static bool decode(const field& from) {
        const auto quick = detail::quick_number<std::uint8_t>(from, detail::oid::boolean);
        return quick ? *quick != 0 : detail::decode_bool(from);
    }
};
/// Any integer of up to 63 bits, from int2, int4, int8 or oid; `value_out_of_range` if it does not fit.
template <std::integral T>
requires(sizeof(T) <= 8 && (std::signed_integral<T> || sizeof(T) < 8)) struct field_traits<T> {
    static T decode(const field& from) {
        if constexpr (std::signed_integral<T> && sizeof(T) == 4) {
            if (const auto quick = detail::quick_number<std::uint32_t>(from, detail::oid::int4)) {
                return static_cast<T>(*quick);
            }
        } else if constexpr (std::signed_integral<T> && sizeof(T) == 8) {
            if (const auto quick = detail::quick_number<std::uint64_t>(from, detail::oid::int8)) {
                return static_cast<T>(*quick);
            }
        }
        return static_cast<T>(
            detail::decode_integer(from, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
};
template <>
struct field_traits<float> {
    static float decode(const field& from) { return detail::decode_float(from); }
};
/// float8 or float4.
template <>
struct field_traits<double> {
    static double decode(const field& from) {
        const auto quick = detail::quick_number<std::uint64_t>(from, detail::oid::float8);
        return quick ? std::bit_cast<double>(*quick) : detail::decode_double(from);
    }
};
/// text, varchar, char(n), name, json, xml, enums and what else is text in the binary format too; jsonb without its version byte.
template <>
struct field_traits<std::string_view> {
    static std::string_view decode(const field& from) { return detail::decode_text(from); }
};
template <>
struct field_traits<std::string> {
    static std::string decode(const field& from) { return std::string{detail::decode_text(from)}; }
};
/// The raw bytes of any type.
template <>
struct field_traits<std::span<const std::byte>> {
    static std::span<const std::byte> decode(const field& from) { return detail::decode_bytes(from); }
};
/// The raw bytes of any type, copied.
template <>
struct field_traits<std::vector<std::byte>> {
    static std::vector<std::byte> decode(const field& from) {
        const auto bytes = detail::decode_bytes(from);
        return {bytes.begin(), bytes.end()};
    }
};
/// timestamptz; also timestamp, taken as UTC whatever the session's time zone: `local_time` makes no such guess. The
/// infinities are `value_out_of_range`.
template <typename Duration>
requires(!std::same_as<Duration, std::chrono::days>) struct field_traits<std::chrono::sys_time<Duration>> {
    static std::chrono::sys_time<Duration> decode(const field& from) {
        return std::chrono::sys_time<Duration>{
            detail::checked_time<Duration>(from, detail::decode_timestamp(from, false))};
    }
};
/// timestamp.
template <typename Duration>
struct field_traits<std::chrono::local_time<Duration>> {
    static std::chrono::local_time<Duration> decode(const field& from) {
        return std::chrono::local_time<Duration>{
            detail::checked_time<Duration>(from, detail::decode_timestamp(from, true))};
    }
};
/// date.
template <>
struct field_traits<std::chrono::sys_days> {
    static std::chrono::sys_days decode(const field& from) { return detail::decode_date(from); }
};
template <>
struct field_traits<std::chrono::year_month_day> {
    static std::chrono::year_month_day decode(const field& from) { return detail::decode_calendar_date(from); }
};
template <>
struct field_traits<interval> {
    static interval decode(const field& from) { return detail::decode_interval(from); }
};
/// An interval without months and days (which have no fixed length), or the time since midnight of `time`.
template <typename Rep, typename Period>
struct field_traits<std::chrono::duration<Rep, Period>> {
    static std::chrono::duration<Rep, Period> decode(const field& from) {
        return detail::checked_time<std::chrono::duration<Rep, Period>>(from, detail::decode_duration(from));
    }
};
template <>
struct field_traits<numeric> {
    static numeric decode(const field& from) { return detail::decode_numeric(from); }
};

namespace detail {

/// One value, NULL included.
template <typename T>
T decode_value(const field& value) {
    if constexpr (is_optional<T>) {
        return value.is_null() ? T{} : T{field_traits<typename T::value_type>::decode(value)};
    } else {
        if (value.is_null()) {
            throw_unexpected_null(value, boost::typeindex::type_id<T>().pretty_name());
        }
        return field_traits<T>::decode(value);
    }
}

template <typename T>
inline constexpr std::size_t dimensions = 0;
template <typename T>
requires(!std::same_as<T, std::byte>) inline constexpr std::size_t dimensions<std::vector<T>> = 1 + dimensions<T>;

template <typename T>
T take_elements(array_reader& from, std::size_t depth) {
    T all;
    const auto size = from.size(depth);
    all.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        if constexpr (dimensions < typename T::value_type >> 0) {
            all.push_back(take_elements<typename T::value_type>(from, depth + 1));
        } else {
            all.push_back(decode_value<typename T::value_type>(from.next()));
        }
    }
    return all;
}

}  // namespace detail

/// An array; of more dimensions as vectors of vectors. Its elements' type must be one that is read as T.
template <typename T>
requires(!std::same_as<T, std::byte>) struct field_traits<std::vector<T>> {
    static std::vector<T> decode(const field& from) {
        detail::array_reader elements{from, detail::dimensions<std::vector<T>>};
        auto all = detail::take_elements<std::vector<T>>(elements, 0);
        elements.end();
        return all;
    }
};

}  // namespace trunkline
