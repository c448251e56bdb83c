#pragma once

#include <trunkline/detail/coroutine_safety.hpp>

#include <boost/container/small_vector.hpp>

#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace trunkline {

class parameters;

/// How a C++ type becomes a statement's parameter: specialise it with
/// `static void encode(parameters&, const T&)`, which calls one of the `add_…` functions exactly once.
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

    /// NULL, of a type that the server infers.
    void add_null();
    /// Text that the server reads as the type it infers: `'2024-01-01'` fits a date.
    void add_text(std::string_view text);
    /// Bytes in the binary format of the type with that OID.
    void add_binary(std::uint32_t type, std::span<const std::byte> bytes);

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::span<const entry> entries() const noexcept { return {entries_.data(), entries_.size()}; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), bytes_.size()}; }
    void clear() noexcept;

private:
    void append(std::span<const std::byte> bytes);

    boost::container::small_vector<entry, 8> entries_;
    boost::container::small_vector<std::byte, 128> bytes_;
};

namespace detail {

/// The OIDs of PostgreSQL's built-in types (`pg_type.dat`); they never change.
namespace oid {
inline constexpr std::uint32_t boolean = 16, bytea = 17, int8 = 20, int2 = 21, int4 = 23, text = 25, oid_ = 26,
                               float4 = 700, float8 = 701, timestamp = 1114, timestamptz = 1184;
}

template <typename Unsigned>
void add_big_endian(parameters& to, std::uint32_t type, Unsigned value) {
    std::byte bytes[sizeof(Unsigned)];
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
        bytes[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * (sizeof(Unsigned) - 1 - i)));
    }
    to.add_binary(type, bytes);
}

}  // namespace detail

template <>
struct parameter_traits<bool> {
    static void encode(parameters& to, bool value) {
        const std::byte bytes[1] = {std::byte{value}};
        to.add_binary(detail::oid::boolean, bytes);
    }
};

/// Integers: the smallest of int2, int4 and int8 that holds the type. `std::uint64_t` has no type on the server:
/// convert it, so that the range is your decision.
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
         !std::same_as<T, char16_t> && !std::same_as<T, char32_t> &&
         (std::signed_integral<T> || sizeof(T) < 8)) struct parameter_traits<T> {
    static void encode(parameters& to, T value) {
        constexpr std::size_t bytes = std::signed_integral<T> ? sizeof(T) : 2 * sizeof(T);
        if constexpr (bytes <= 2) {
            detail::add_big_endian(to, detail::oid::int2, static_cast<std::uint16_t>(value));
        } else if constexpr (bytes == 4) {
            detail::add_big_endian(to, detail::oid::int4, static_cast<std::uint32_t>(value));
        } else {
            detail::add_big_endian(to, detail::oid::int8, static_cast<std::uint64_t>(value));
        }
    }
};

template <>
struct parameter_traits<float> {
    static void encode(parameters& to, float value) {
        detail::add_big_endian(to, detail::oid::float4, std::bit_cast<std::uint32_t>(value));
    }
};

template <>
struct parameter_traits<double> {
    static void encode(parameters& to, double value) {
        detail::add_big_endian(to, detail::oid::float8, std::bit_cast<std::uint64_t>(value));
    }
};

/// Text: `std::string`, `std::string_view`, literals.
template <typename T>
requires std::convertible_to<const T&, std::string_view>
struct parameter_traits<T> {
    static void encode(parameters& to, std::string_view text) { to.add_text(text); }
};

/// Bytes: bytea.
template <typename T>
requires(!std::convertible_to<const T&, std::string_view> &&
         std::convertible_to<const T&, std::span<const std::byte>>) struct parameter_traits<T> {
    static void encode(parameters& to, std::span<const std::byte> bytes) { to.add_binary(detail::oid::bytea, bytes); }
};

template <>
struct parameter_traits<std::nullptr_t> {
    static void encode(parameters& to, std::nullptr_t) { to.add_null(); }
};

template <>
struct parameter_traits<std::nullopt_t> {
    static void encode(parameters& to, std::nullopt_t) { to.add_null(); }
};

template <parameter T>
struct parameter_traits<std::optional<T>> {
    static void encode(parameters& to, const std::optional<T>& value) {
        if (value) {
            parameter_traits<T>::encode(to, *value);
        } else {
            to.add_null();
        }
    }
};

/// A point of the system's clock: timestamptz, to the microsecond (PostgreSQL's own precision), truncated.
template <typename Duration>
struct parameter_traits<std::chrono::time_point<std::chrono::system_clock, Duration>> {
    static void encode(parameters& to, const std::chrono::time_point<std::chrono::system_clock, Duration>& value) {
        const auto since_epoch = std::chrono::floor<std::chrono::microseconds>(value.time_since_epoch()).count();
        constexpr std::int64_t epoch_2000 = 946'684'800'000'000;  // microseconds from 1970 to PostgreSQL's epoch
        detail::add_big_endian(to, detail::oid::timestamptz, static_cast<std::uint64_t>(since_epoch - epoch_2000));
    }
};

namespace detail {

/// Puts a call's arguments together, and refuses what cannot be one in words.
template <typename... Args>
parameters collect(const std::remove_cvref_t<Args>&... args) {
    static_assert(
        (parameter<std::remove_cvref_t<Args>> && ...),
        "a parameter of this type has no mapping: specialise trunkline::parameter_traits for it, or convert it");
    static_assert((safe_to_await<Args> && ...),
                  "g++ 12 frees this temporary twice inside a co_await expression: give the parameter a name first");
    parameters values;
    (values.add(args), ...);
    return values;
}

}  // namespace detail

}  // namespace trunkline
