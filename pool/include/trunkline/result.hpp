#pragma once

#include <trunkline/detail/index_iterator.hpp>
#include <trunkline/error.hpp>
#include <trunkline/field.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

struct pg_result;  // libpq's PGresult

namespace trunkline {

class result;
class row;

namespace detail {
class row_reader;
template <typename... Ts>
class typed_rows;
row row_at(const result& of, std::size_t number);
}  // namespace detail

/// One row of a result. Valid as long as its result.
class row {
public:
    /// The value of a column, by number (from 0) or name; of several columns of one name the first. Throws `error`:
    /// `no_such_row`, `no_such_column`, `unexpected_null`,
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
    row(const pg_result* data, const char* statement, int number) noexcept
        : data_{data},
          statement_{statement},
          number_{number} {}
    [[nodiscard]] std::size_t column_number(std::string_view name) const;

    const pg_result* data_;
    const char* statement_;
    int number_;
};

/// What a statement gave: rows, or how many rows it changed. Move-only; its own memory, so it outlives the lease.
class result {
public:
    result() noexcept = default;
    /// Takes libpq's result over. `statement` is what it answers; its first 1,000 bytes are copied, for errors.
    explicit result(pg_result* data, std::string_view statement = {}) noexcept;
    result(result&& other) noexcept : data_{std::move(other.data_)}, statement_{std::exchange(other.statement_, "")} {}
    result& operator=(result&& other) noexcept {
        data_ = std::move(other.data_);
        statement_ = std::exchange(other.statement_, "");
        return *this;
    }
    /// Whether any server has answered: false for a default-constructed one.
    [[nodiscard]] bool is_answer() const noexcept { return data_ != nullptr; }

    /// Rows.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// One row. Where there is none, each of its values throws `error` (`no_such_row`). It points into this result: give
    /// the result a name first.
    [[nodiscard]] row operator[](std::size_t i) const noexcept;
    [[nodiscard]] std::size_t columns() const noexcept;
    /// Throws `error` (`no_such_column`).
    [[nodiscard]] std::string_view column_name(std::size_t column) const;
    /// The number of that column, from 0. Throws `error` (`no_such_column`).
    [[nodiscard]] std::size_t column_number(std::string_view name) const;
    /// The rows as tuples of these types, one for each column. Throws `error` (`no_such_column`) if there are more or
    /// fewer columns; and each row, when it is looked at, what `row::get` throws. Valid as long as this.
    template <typename... Ts>
    [[nodiscard]] detail::typed_rows<Ts...> rows() const&;
    template <typename... Ts>
    detail::typed_rows<Ts...> rows() const&& = delete;  // give the result a name: it must live longer than its rows
    /// The rows as structs. Where `BOOST_DESCRIBE_STRUCT` knows the struct, each member is the column of its name, and
    /// further columns are left alone; else (a plain aggregate) the columns are its members in their order, and must be
    /// as many. Throws `error` like `row::get`. Of a result that has no name the members are values, no views.
    template <typename Struct>
    [[nodiscard]] std::vector<Struct> into() const&;
    template <typename Struct>
    [[nodiscard]] std::vector<Struct> into() const&&;
    /// Rows that INSERT, UPDATE, DELETE, MERGE, SELECT … touched; 0 for what touches none.
    [[nodiscard]] std::uint64_t rows_affected() const noexcept;
    /// The server's command tag: `INSERT 0 1`.
    [[nodiscard]] std::string_view command_tag() const noexcept;

    using iterator = detail::index_iterator<result, row, &detail::row_at>;
    [[nodiscard]] iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] iterator end() const noexcept { return {this, size()}; }

    /// Throws `error` (`no_such_column`) if there is another number of columns.
    void require_columns(std::size_t wanted) const;

private:
    friend class detail::row_reader;
    struct clear {
        void operator()(pg_result* data) const noexcept;
    };
    std::unique_ptr<pg_result, clear> data_;
    const char* statement_ = "";  // in `data_`'s memory
};

namespace detail {

inline row row_at(const result& of, std::size_t number) { return of[number]; }

/// The values of one row after another: what is the same in all of them is asked once.
class row_reader {
public:
    explicit row_reader(const result& of);
    /// `row < size()`.
    void go_to(std::size_t row) noexcept;
    [[nodiscard]] const field& operator[](std::size_t column) const noexcept { return fields_[column]; }

private:
    const pg_result* data_;
    std::vector<field> fields_;
};

}  // namespace detail

template <typename T>
T row::get(std::size_t column) const {
    return detail::decode_value<T>((*this)[column]);
}

}  // namespace trunkline

#include <trunkline/detail/typed_rows.hpp>
