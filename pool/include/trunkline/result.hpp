#pragma once

#include <trunkline/error.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct pg_result;  // libpq's PGresult

namespace trunkline {

class row;

/// One value of a result, as the server sent it in the binary format. Valid as long as its result.
class field {
public:
    [[nodiscard]] bool is_null() const noexcept { return null_; }
    /// The value's bytes; empty for NULL.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    /// The OID of the column's type.
    [[nodiscard]] std::uint32_t type() const noexcept { return type_; }
    [[nodiscard]] std::string_view column() const noexcept { return column_; }

private:
    friend class row;
    std::span<const std::byte> bytes_;
    std::string_view column_;
    std::uint32_t type_ = 0;
    bool null_ = true;
};

/// How a column becomes a C++ value: specialise it with `static T decode(const field&)`, which throws `error` if the
/// type does not fit. It is never called for NULL.
template <typename T>
struct field_traits;

/// One row of a result. Valid as long as its result.
class row {
public:
    /// The value of a column, by number (from 0) or name. Throws `error`: `no_such_column`, `unexpected_null`,
    /// `wrong_type`, `value_out_of_range`, each with the column's name and type. `std::string_view` and
    /// `std::span<const std::byte>` point into the result.
    template <typename T>
    [[nodiscard]] T get(std::size_t column) const;
    template <typename T>
    [[nodiscard]] T get(std::string_view column) const {
        return get<T>(column_number(column));
    }

    /// The raw value. Throws `error` (`no_such_column`).
    [[nodiscard]] field operator[](std::size_t column) const;
    [[nodiscard]] field operator[](std::string_view column) const { return (*this)[column_number(column)]; }
    [[nodiscard]] std::size_t size() const noexcept;

private:
    friend class result;
    row(const pg_result* data, int number) noexcept : data_{data}, number_{number} {}
    [[nodiscard]] std::size_t column_number(std::string_view name) const;

    const pg_result* data_;
    int number_;
};

/// What a statement gave: rows, or how many rows it changed. Move-only; its own memory, so it outlives the lease.
class result {
public:
    result() noexcept = default;
    /// Takes libpq's result over.
    explicit result(pg_result* data) noexcept : data_{data} {}
    /// Whether any server has answered: false for a default-constructed one.
    [[nodiscard]] bool is_answer() const noexcept { return data_ != nullptr; }

    /// Rows.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// One row, `i < size()`. Checked by an assertion.
    [[nodiscard]] row operator[](std::size_t i) const noexcept;
    [[nodiscard]] std::size_t columns() const noexcept;
    /// Throws `error` (`no_such_column`).
    [[nodiscard]] std::string_view column_name(std::size_t column) const;
    /// Rows that INSERT, UPDATE, DELETE, MERGE, SELECT … touched; 0 for what touches none.
    [[nodiscard]] std::uint64_t rows_affected() const noexcept;
    /// The server's command tag: `INSERT 0 1`.
    [[nodiscard]] std::string_view command_tag() const noexcept;

    class iterator {
    public:
        using value_type = row;
        using difference_type = std::ptrdiff_t;
        row operator*() const noexcept { return (*of_)[at_]; }
        iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept { return {of_, at_++}; }
        bool operator==(const iterator&) const noexcept = default;

    private:
        friend class result;
        iterator(const result* of, std::size_t at) noexcept : of_{of}, at_{at} {}
        const result* of_;
        std::size_t at_;
    };
    [[nodiscard]] iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] iterator end() const noexcept { return {this, size()}; }

private:
    struct clear {
        void operator()(pg_result* data) const noexcept;
    };
    std::unique_ptr<pg_result, clear> data_;
};

namespace detail {
[[noreturn]] void throw_unexpected_null(const field& from);
bool decode_bool(const field& from);
std::int64_t decode_integer(const field& from, std::int64_t lowest, std::int64_t highest);
float decode_float(const field& from);
double decode_double(const field& from);
std::string_view decode_text(const field& from);
std::span<const std::byte> decode_bytes(const field& from);
std::chrono::system_clock::time_point decode_time(const field& from);
template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace detail

template <>
struct field_traits<bool> {
    static bool decode(const field& from) { return detail::decode_bool(from); }
};
/// Any integer of up to 63 bits, from int2, int4, int8 or oid; `value_out_of_range` if it does not fit.
template <std::integral T>
requires(std::signed_integral<T> || sizeof(T) < 8) struct field_traits<T> {
    static T decode(const field& from) {
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
    static double decode(const field& from) { return detail::decode_double(from); }
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
/// timestamptz or timestamp (taken as UTC). The infinities are `value_out_of_range`.
template <>
struct field_traits<std::chrono::system_clock::time_point> {
    static std::chrono::system_clock::time_point decode(const field& from) { return detail::decode_time(from); }
};

template <typename T>
T row::get(std::size_t column) const {
    const field value = (*this)[column];
    if constexpr (detail::is_optional<T>) {
        return value.is_null() ? T{} : T{field_traits<typename T::value_type>::decode(value)};
    } else {
        if (value.is_null()) {
            detail::throw_unexpected_null(value);
        }
        return field_traits<T>::decode(value);
    }
}

}  // namespace trunkline
