#pragma once

#include <trunkline/copy.hpp>
#include <trunkline/parameters.hpp>
#include <trunkline/query_options.hpp>
#include <trunkline/result.hpp>
#include <trunkline/row_stream.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace trunkline::detail {

boost::asio::awaitable<std::uint64_t> rows_affected_by(boost::asio::awaitable<result> running);

/// The calls that give a statement's rows at once. `Runner` derives from this and has
/// `awaitable<result> run(query_options, std::string, parameters)`.
template <typename Runner>
class query_calls {
public:
    /// Runs one statement with its parameters `$1 …` in the binary format and gives its rows. Statement and parameters
    /// are copied before the first suspension. Throws `error`: a `sqlstate` of the server's, a `pool_errc`, or
    /// `operation_aborted`. After a server's error the connection goes on.
    template <typename... Args>
    boost::asio::awaitable<result> query(std::string_view sql, Args&&... args) {
        auto values = collect<Args...>(args...);
        return self().run({}, std::string{sql}, std::move(values));
    }
    template <typename... Args>
    boost::asio::awaitable<result> query(query_options options, std::string_view sql, Args&&... args) {
        auto values = collect<Args...>(args...);
        return self().run(options, text_of(options, sql), std::move(values));
    }
    /// The same with a list of parameters that is put together at run time.
    boost::asio::awaitable<result> query(std::string_view sql, parameters values) {
        return self().run({}, std::string{sql}, std::move(values));
    }
    boost::asio::awaitable<result> query(query_options options, std::string_view sql, parameters values) {
        return self().run(options, text_of(options, sql), std::move(values));
    }

    /// Runs one statement and gives the number of rows that it touched. Otherwise like `query`.
    template <typename... Args>
    boost::asio::awaitable<std::uint64_t> execute(std::string_view sql, Args&&... args) {
        return rows_affected_by(query(sql, std::forward<Args>(args)...));
    }
    template <typename... Args>
    boost::asio::awaitable<std::uint64_t> execute(query_options options, std::string_view sql, Args&&... args) {
        return rows_affected_by(query(options, sql, std::forward<Args>(args)...));
    }

protected:
    query_calls() = default;
    ~query_calls() = default;
    Runner& self() noexcept { return static_cast<Runner&>(*this); }
};

/// These, and those whose rows or data pass piece by piece. `Runner` has, besides,
/// `awaitable<transfer_handle> open(transfer_sort, query_options, std::string, parameters)`.
template <typename Runner>
class statement_calls : public query_calls<Runner> {
    using query_calls<Runner>::self;

public:
    /// Runs one statement and gives its rows one after another, in bounded memory. Completes when the first row has come,
    /// or the end. Otherwise like `query`; the statement is not prepared.
    template <typename... Args>
    boost::asio::awaitable<row_stream> stream(std::string_view sql, Args&&... args) {
        auto values = collect<Args...>(args...);
        return as<row_stream>(self().open(transfer_sort::rows, {}, std::string{sql}, std::move(values)));
    }
    template <typename... Args>
    boost::asio::awaitable<row_stream> stream(query_options options, std::string_view sql, Args&&... args) {
        auto values = collect<Args...>(args...);
        return as<row_stream>(self().open(transfer_sort::rows, options, text_of(options, sql), std::move(values)));
    }

    /// The same with a list of parameters that is put together at run time.
    boost::asio::awaitable<row_stream> stream(std::string_view sql, parameters values) {
        return as<row_stream>(self().open(transfer_sort::rows, {}, std::string{sql}, std::move(values)));
    }
    boost::asio::awaitable<row_stream> stream(query_options options, std::string_view sql, parameters values) {
        return as<row_stream>(self().open(transfer_sort::rows, options, text_of(options, sql), std::move(values)));
    }

    /// Begins a `COPY … FROM STDIN`. Throws `error` as `query`; `unsupported_statement` for any other statement, which
    /// the server has run then.
    boost::asio::awaitable<copy_writer> copy_in(std::string_view sql) { return copy_in({}, sql); }
    boost::asio::awaitable<copy_writer> copy_in(query_options options, std::string_view sql) {
        return as<copy_writer>(self().open(transfer_sort::copy_in, options, text_of(options, sql), parameters{}));
    }
    /// Begins a `COPY … TO STDOUT`. Throws `error` as `copy_in`.
    boost::asio::awaitable<copy_reader> copy_out(std::string_view sql) { return copy_out({}, sql); }
    boost::asio::awaitable<copy_reader> copy_out(query_options options, std::string_view sql) {
        return as<copy_reader>(self().open(transfer_sort::copy_out, options, text_of(options, sql), parameters{}));
    }

private:
    template <typename Face>
    static boost::asio::awaitable<Face> as(boost::asio::awaitable<transfer_handle> opening) {
        auto opened = co_await std::move(opening);
        Face face{std::move(opened)};
        co_return face;
    }

protected:
    statement_calls() = default;
    ~statement_calls() = default;
};

}  // namespace trunkline::detail
