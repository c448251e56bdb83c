#pragma once

#include <trunkline/detail/coroutine_safety.hpp>
#include <trunkline/detail/oid.hpp>
#include <trunkline/value_types.hpp>

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ratio>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace trunkline {

class parameters;

namespace detail {
class array_builder;
}

/// How a C++ type becomes a statement's parameter: specialise it with
/// `static void encode(parameters&, const T&)`, which calls one of the `add_…` functions exactly once. It may say the type
/// on the server too, `static constexpr std::uint32_t oid`: an array of T without elements is then one of that type, else
/// one of the type that the server infers.
template <typename T>
struct parameter_traits;

template <typename T>
concept parameter = requires(parameters& to, const T& value) {
    parameter_traits<T>::encode(to, value);
};

/// The values of a statement's parameters, `$1` first, already in the form that goes to the server. Copies what it is
/// given. Up to 8 parameters and 128 bytes need no allocation. A plain value; not thread-safe.
class parameters {
public:
    /// What the protocol says of one parameter.
    struct entry {
        std::uint32_t type = 0;    ///< OID; 0: the server infers it
        std::uint32_t offset = 0;  ///< of its first byte in `bytes()`
        std::int32_t length = -1;  ///< -1: NULL
        bool binary = false;       ///< the binary format, else text with a NUL behind it
    };

    parameters() noexcept;
    parameters(const parameters&);
    parameters(parameters&&) noexcept;
    parameters& operator=(const parameters&);
    parameters& operator=(parameters&&) noexcept;
    ~parameters();

    /// Appends one parameter of any type that has `parameter_traits`.
    template <parameter T>
    parameters& add(const T& value) {
        parameter_traits<T>::encode(*this, value);
        return *this;
    }

    /// NULL, of the type with that OID. 0: the server infers it.
    void add_null(std::uint32_t type = 0);
    /// Text that the server reads as the type it infers: `'2024-01-01'` fits a date.
    void add_text(std::string_view text);
    /// Bytes in the binary format of the type with that OID.
    void add_binary(std::uint32_t type, std::span<const std::byte> bytes);

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::span<const entry> entries() const noexcept { return {entries_.data(), entries_.size()}; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), bytes_.size()}; }
    void clear() noexcept;
    /// What the next one is called in an error: `parameter $3`.
    [[nodiscard]] std::string next_name() const;

private:
    friend class detail::array_builder;
    void append(std::span<const std::byte> bytes);

    boost::container::small_vector<entry, 8> entries_;
    boost::container::small_vector<std::byte, 128> bytes_;
    std::size_t elements_of_ =
        0;  // the number of the parameter whose elements these are; 0: they are parameters themselves
};

namespace detail {

template <typename Unsigned>
void put_big_endian(std::byte* at, Unsigned value) noexcept {
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
        at[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * (sizeof(Unsigned) - 1 - i)));
    }
}

template <typename Unsigned>
void add_big_endian(parameters& to, std::uint32_t type, Unsigned value) {
    std::byte bytes[sizeof(Unsigned)];
    put_big_endian(bytes, value);
    to.add_binary(type, bytes);
}

}  // namespace detail

namespace detail {
/// Throws `error` (`invalid_value`) if it is null.
std::string_view checked_text(const parameters& to, const char* text);
}  // namespace detail

template <>
struct parameter_traits<bool> {
    static constexpr std::uint32_t oid = detail::oid::boolean;
    static void encode(parameters& to, bool value) {
        const std::byte bytes[1] = {std::byte{value}};
        to.add_binary(detail::oid::boolean, bytes);
    }
};

/// Integers: the smallest of int2, int4 and int8 that holds the type. `std::uint64_t` has no type on the server:
/// convert it, so that the range is your decision.
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
         !std::same_as<T, char16_t> && !std::same_as<T, char32_t> && sizeof(T) <= 8 &&
         (std::signed_integral<T> || sizeof(T) < 8)) struct parameter_traits<T> {
    static constexpr std::size_t bytes = std::signed_integral<T> ? sizeof(T) : 2 * sizeof(T);
    static constexpr std::uint32_t oid = bytes <= 2   ? detail::oid::int2
                                         : bytes == 4 ? detail::oid::int4
                                                      : detail::oid::int8;
    static void encode(parameters& to, T value) {
        if constexpr (bytes <= 2) {
            detail::add_big_endian(to, oid, static_cast<std::uint16_t>(value));
        } else if constexpr (bytes == 4) {
            detail::add_big_endian(to, oid, static_cast<std::uint32_t>(value));
        } else {
            detail::add_big_endian(to, oid, static_cast<std::uint64_t>(value));
        }
    }
};

template <>
struct parameter_traits<float> {
    static constexpr std::uint32_t oid = detail::oid::float4;
    static void encode(parameters& to, float value) {
        detail::add_big_endian(to, oid, std::bit_cast<std::uint32_t>(value));
    }
};

template <>
struct parameter_traits<double> {
    static constexpr std::uint32_t oid = detail::oid::float8;
    static void encode(parameters& to, double value) {
        detail::add_big_endian(to, oid, std::bit_cast<std::uint64_t>(value));
    }
};

/// Text: `std::string`, `std::string_view`, literals, and arrays of char up to their NUL. A `const char*` that is null is an
/// `error` (`invalid_value`): NULL is `nullptr`.
template <typename T>
requires std::convertible_to<const T&, std::string_view>
struct parameter_traits<T> {
    static constexpr std::uint32_t oid =
        detail::oid::text;  // of an array's elements; alone it is what the server infers
    static void encode(parameters& to, const T& text) {
        if constexpr (std::is_array_v<T>) {
            to.add_text(std::string_view{text, std::find(text, text + std::extent_v<T>, '\0')});
        } else if constexpr (std::is_pointer_v<T>) {
            to.add_text(detail::checked_text(to, text));
        } else {
            to.add_text(text);
        }
    }
};

/// Bytes: bytea.
template <typename T>
requires(!std::convertible_to<const T&, std::string_view> &&
         std::convertible_to<const T&, std::span<const std::byte>>) struct parameter_traits<T> {
    static constexpr std::uint32_t oid = detail::oid::bytea;
    static void encode(parameters& to, std::span<const std::byte> bytes) { to.add_binary(oid, bytes); }
};

template <>
struct parameter_traits<std::nullptr_t> {
    static void encode(parameters& to, std::nullptr_t) { to.add_null(); }
};

template <>
struct parameter_traits<std::nullopt_t> {
    static void encode(parameters& to, std::nullopt_t) { to.add_null(); }
};

namespace detail {

/// What a value of that type says of its type; text says nothing.
template <typename T>
constexpr std::uint32_t null_oid() noexcept {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
        return 0;
    } else if constexpr (requires { parameter_traits<T>::oid; }) {
        return parameter_traits<T>::oid;
    } else {
        return 0;
    }
}

}  // namespace detail

/// A value, or NULL of the same type.
template <parameter T>
struct parameter_traits<std::optional<T>> {
    static void encode(parameters& to, const std::optional<T>& value) {
        if (value) {
            parameter_traits<T>::encode(to, *value);
        } else {
            to.add_null(detail::null_oid<T>());
        }
    }
};

/// A decimal number.
template <>
struct parameter_traits<numeric> {
    static constexpr std::uint32_t oid = detail::oid::numeric;
    static void encode(parameters& to, const numeric& value);
};

namespace detail {

/// Nothing is no time at all: `invalid_value`.
void add_timestamp(parameters& to, std::uint32_t type, std::optional<std::chrono::microseconds> since_1970);
void add_date(parameters& to, std::chrono::sys_days day);
void add_duration(parameters& to, std::optional<std::chrono::microseconds> value);

/// A duration, rounded down to microseconds, or, if it has a fraction, to the nearest; nothing if they cannot hold it, or if it is NaN.
template <typename Rep, typename Period>
std::optional<std::chrono::microseconds> microseconds_of(const std::chrono::duration<Rep, Period>& from) {
    using std::chrono::microseconds;
    using wide = std::chrono::duration<long double, std::micro>;
    using factor = std::ratio_divide<Period, std::micro>;
    constexpr long double end = 9'223'372'036'854'775'808.0L;  // of 64 bits
    const auto estimate = std::chrono::duration_cast<wide>(from).count();
    if (!(estimate >= -end && estimate < end)) {
        return std::nullopt;
    }
    if constexpr (std::chrono::treat_as_floating_point_v<Rep>) {
        return microseconds{static_cast<microseconds::rep>(std::round(estimate))};
    } else if constexpr (factor::num != 1 && factor::den != 1) {
        return microseconds{static_cast<microseconds::rep>(std::floor(estimate))};
    } else {
        return std::chrono::floor<microseconds>(from);
    }
}

/// Days are a type of their own on the server.
template <typename Duration>
inline constexpr bool is_days = std::same_as<Duration, std::chrono::days>;

}  // namespace detail

/// A point of the system's clock: timestamptz, rounded down to the microsecond, PostgreSQL's own precision. What
/// PostgreSQL does not hold is an `error` (`invalid_value`), here and below.
template <typename Duration>
requires(!detail::is_days<Duration>) struct parameter_traits<std::chrono::sys_time<Duration>> {
    static constexpr std::uint32_t oid = detail::oid::timestamptz;
    static void encode(parameters& to, const std::chrono::sys_time<Duration>& value) {
        detail::add_timestamp(to, oid, detail::microseconds_of(value.time_since_epoch()));
    }
};

/// A time on the wall, wherever that is: timestamp without a time zone, rounded down to the microsecond.
template <typename Duration>
struct parameter_traits<std::chrono::local_time<Duration>> {
    static constexpr std::uint32_t oid = detail::oid::timestamp;
    static void encode(parameters& to, const std::chrono::local_time<Duration>& value) {
        detail::add_timestamp(to, oid, detail::microseconds_of(value.time_since_epoch()));
    }
};

/// A day: date. One that no calendar has (30 February) is an `error` (`invalid_value`).
template <>
struct parameter_traits<std::chrono::sys_days> {
    static constexpr std::uint32_t oid = detail::oid::date;
    static void encode(parameters& to, std::chrono::sys_days value) { detail::add_date(to, value); }
};
template <>
struct parameter_traits<std::chrono::year_month_day> {
    static constexpr std::uint32_t oid = detail::oid::date;
    static void encode(parameters& to, const std::chrono::year_month_day& value);
};

/// A duration: interval, in its part of microseconds, rounded down to them.
template <typename Rep, typename Period>
struct parameter_traits<std::chrono::duration<Rep, Period>> {
    static constexpr std::uint32_t oid = detail::oid::interval;
    static void encode(parameters& to, const std::chrono::duration<Rep, Period>& value) {
        detail::add_duration(to, detail::microseconds_of(value));
    }
};
template <>
struct parameter_traits<interval> {
    static constexpr std::uint32_t oid = detail::oid::interval;
    static void encode(parameters& to, const interval& value);
};

namespace detail {

/// Refuses what cannot be a parameter in words.
template <typename... Args>
constexpr void check_parameters() noexcept {
    static_assert(
        (parameter<std::remove_cvref_t<Args>> && ...),
        "a parameter of this type has no mapping: specialise trunkline::parameter_traits for it, or convert it");
    static_assert((safe_to_await<Args> && ...),
                  "g++ 12 frees this temporary twice inside a co_await expression: give the parameter a name first");
}

/// Puts a call's arguments together.
template <typename... Args>
parameters collect(const std::remove_cvref_t<Args>&... args) {
    check_parameters<Args...>();
    parameters values;
    (values.add(args), ...);
    return values;
}

}  // namespace detail

}  // namespace trunkline

#include <trunkline/detail/array_parameters.hpp>
