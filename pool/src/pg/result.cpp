#include <trunkline/result.hpp>

#include <libpq-fe.h>

#include <cassert>
#include <charconv>

namespace trunkline {

namespace {

std::string column_count(int columns) { return columns == 1 ? "1 column" : std::to_string(columns) + " columns"; }

}  // namespace

// libpq's accessors complain of a bad number through the connection's notice receiver, which the result outlives: so
// numbers are checked here, and libpq never sees a bad one.

void result::clear::operator()(pg_result* data) const noexcept { PQclear(data); }

std::size_t result::size() const noexcept { return static_cast<std::size_t>(PQntuples(data_.get())); }

row result::operator[](std::size_t i) const noexcept {
    assert(i < size());
    return {data_.get(), static_cast<int>(i)};
}

std::size_t result::columns() const noexcept { return static_cast<std::size_t>(PQnfields(data_.get())); }

std::string_view result::column_name(std::size_t column) const {
    if (column >= columns()) {
        throw error{pool_errc::no_such_column, "column " + std::to_string(column) +
                                                   " was asked for, counted from 0; the result has " +
                                                   column_count(PQnfields(data_.get()))};
    }
    return PQfname(data_.get(), static_cast<int>(column));
}

std::uint64_t result::rows_affected() const noexcept {
    const std::string_view digits = data_ ? PQcmdTuples(data_.get()) : "";
    std::uint64_t rows = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), rows);
    return rows;
}

std::string_view result::command_tag() const noexcept { return data_ ? PQcmdStatus(data_.get()) : ""; }

std::size_t row::size() const noexcept { return static_cast<std::size_t>(PQnfields(data_)); }

field row::operator[](std::size_t column) const {
    if (column >= size()) {
        throw error{pool_errc::no_such_column, "column " + std::to_string(column) +
                                                   " was asked for, counted from 0; the result has " +
                                                   column_count(PQnfields(data_))};
    }
    const int number = static_cast<int>(column);
    field value;
    value.column_ = PQfname(data_, number);
    value.type_ = PQftype(data_, number);
    value.null_ = PQgetisnull(data_, number_, number) != 0;
    if (!value.null_) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(PQgetvalue(data_, number_, number));
        value.bytes_ = {bytes, static_cast<std::size_t>(PQgetlength(data_, number_, number))};
    }
    return value;
}

std::size_t row::column_number(std::string_view name) const {
    // Not PQfnumber: it folds the name's case, so that a column "Id" would not be found by its name.
    for (int i = 0; i < PQnfields(data_); ++i) {
        if (name == PQfname(data_, i)) {
            return static_cast<std::size_t>(i);
        }
    }
    std::string names;
    for (int i = 0; i < PQnfields(data_); ++i) {
        names += (i == 0 ? "" : ", ");
        names += PQfname(data_, i);
    }
    throw error{pool_errc::no_such_column, "\"" + std::string{name} + "\" was asked for; the result has " +
                                               (names.empty() ? "no columns" : names)};
}

}  // namespace trunkline
