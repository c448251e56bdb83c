#include "statement_text.hpp"

#include <trunkline/result.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>

namespace trunkline {

namespace {

std::string column_count(int columns) { return columns == 1 ? "1 column" : std::to_string(columns) + " columns"; }

std::string of_statement(std::string_view text) { return text.empty() ? "" : "; the statement: " + std::string{text}; }

[[noreturn]] void no_such_column(std::size_t asked, const PGresult* from, const char* statement) {
    throw error{pool_errc::no_such_column, "column " + std::to_string(asked) +
                                               " was asked for, counted from 0; the result has " +
                                               column_count(PQnfields(from)) + of_statement(statement)};
}

std::size_t number_of(const PGresult* from, const char* statement, std::string_view name) {
    // Not PQfnumber: it folds the name's case, so that a column "Id" would not be found by its name.
    for (int i = 0; i < PQnfields(from); ++i) {
        if (name == PQfname(from, i)) {
            return static_cast<std::size_t>(i);
        }
    }
    std::string names;
    for (int i = 0; i < PQnfields(from); ++i) {
        names += (i == 0 ? "" : ", ");
        names += PQfname(from, i);
    }
    throw error{pool_errc::no_such_column, "\"" + std::string{name} + "\" was asked for; the result has " +
                                               (names.empty() ? "no columns" : names) + of_statement(statement)};
}

}  // namespace

// libpq's accessors complain of a bad number through the connection's notice receiver, which the result outlives: so
// numbers are checked here, and libpq never sees a bad one.

result::result(pg_result* data, std::string_view statement) noexcept : data_{data} {
    const auto text = pg::beginning_of(statement);
    // In libpq's own memory of this result, which has room left, mostly.
    if (auto* const copy = text.empty() ? nullptr : static_cast<char*>(PQresultAlloc(data, text.size() + 1))) {
        *std::ranges::copy(text, copy).out = 0;
        statement_ = copy;
    }
}

void result::clear::operator()(pg_result* data) const noexcept { PQclear(data); }

std::size_t result::size() const noexcept { return static_cast<std::size_t>(PQntuples(data_.get())); }

row result::operator[](std::size_t i) const noexcept { return {data_.get(), statement_, static_cast<int>(i)}; }

std::size_t result::columns() const noexcept { return static_cast<std::size_t>(PQnfields(data_.get())); }

std::string_view result::column_name(std::size_t column) const {
    if (column >= columns()) {
        no_such_column(column, data_.get(), statement_);
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
        no_such_column(column, data_, statement_);
    }
    if (number_ >= PQntuples(data_)) {
        throw error{pool_errc::no_such_row, "row " + std::to_string(number_) +
                                                " was asked for, counted from 0; the result has " +
                                                std::to_string(PQntuples(data_)) + of_statement(statement_)};
    }
    const int number = static_cast<int>(column);
    std::optional<std::span<const std::byte>> value;
    if (PQgetisnull(data_, number_, number) == 0) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(PQgetvalue(data_, number_, number));
        value.emplace(bytes, static_cast<std::size_t>(PQgetlength(data_, number_, number)));
    }
    return {PQfname(data_, number), PQftype(data_, number), value, statement_};
}

std::size_t result::column_number(std::string_view name) const { return number_of(data_.get(), statement_, name); }

std::size_t row::column_number(std::string_view name) const { return number_of(data_, statement_, name); }

detail::row_reader::row_reader(const result& of) : data_{of.data_.get()} {
    const int count = PQnfields(data_);
    fields_.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        fields_.emplace_back(PQfname(data_, i), PQftype(data_, i), std::nullopt, of.statement_);
    }
}

void detail::row_reader::go_to(std::size_t row) noexcept {
    const int number = static_cast<int>(row);
    for (int column = 0; field & value : fields_) {
        value.null_ = PQgetisnull(data_, number, column) != 0;
        value.bytes_ = {reinterpret_cast<const std::byte*>(PQgetvalue(data_, number, column)),
                        static_cast<std::size_t>(PQgetlength(data_, number, column))};
        ++column;
    }
}

void result::require_columns(std::size_t wanted) const {
    if (columns() == wanted) {
        return;
    }
    std::string problem =
        column_count(static_cast<int>(wanted)) + " asked for; the result has " + std::to_string(columns());
    for (std::size_t i = 0; i < columns(); ++i) {
        problem += i == 0 ? ": " : ", ";
        problem += column_name(i);
    }
    throw error{pool_errc::no_such_column, problem + of_statement(statement_)};
}

}  // namespace trunkline
