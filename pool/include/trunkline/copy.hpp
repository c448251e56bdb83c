#pragma once

#include <trunkline/detail/transfer_handle.hpp>
#include <trunkline/parameters.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace trunkline {

namespace detail {
template <typename Runner>
class statement_calls;
}

/// Sends the data of a `COPY … FROM STDIN`, in whatever format that statement names. What is written is collected, handed
/// over 64 KiB at a time, and never more than one such piece waits for the network: a server that is slower than the
/// program makes it wait. Besides that it needs the memory of the longest row of values, twice.
///
/// Nothing is stored before `finish()` has succeeded. Destroyed without it (an exception, say), the COPY is undone and the
/// connection goes on. It runs nothing else meanwhile (`operation_in_progress`). Inside a transaction a COPY that fails or
/// is undone fails the transaction. A lease that ends meanwhile ends the COPY (`pool_errc::lease_released`). Move-only; like
/// its connection it may be used by any thread, one at a time, and must not be destroyed or moved while a call is awaited.
///
/// All calls throw `error`: what the server has refused (`detail()` says in which line and column of the data), mostly soon
/// after that line was sent, at `finish()` at the latest; `query_timeout` when it has waited too long for the network or the
/// server; `operation_aborted` when it is cancelled. Then all is undone, unless `finish()` fails with `connection_lost`,
/// `query_timeout` or `operation_aborted`: that may have stored all, or nothing. A coroutine that is cancelled already does not
/// begin the call that it awaits: leave the COPY to its destructor then. After the end: the same error, or
/// `pool_errc::copy_ended`.
class copy_writer {
public:
    /// Holds nothing: ended.
    copy_writer() noexcept;
    copy_writer(copy_writer&&) noexcept;
    copy_writer& operator=(copy_writer&&) noexcept;
    ~copy_writer();

    /// Appends data, which need not end with a row. It must live until this has completed. In the binary format header and
    /// trailer belong to it.
    boost::asio::awaitable<void> write(std::string_view data);

    /// Appends a row of values, for `COPY … (FORMAT binary)`: as many as the COPY has columns, each of exactly its column's
    /// type, because the server converts nothing here: `std::int64_t` for bigint, `std::int32_t` for integer; a text for text,
    /// varchar, json and enums. The row is appended by the call itself; what is awaited is room for more. Throws `error`
    /// (`invalid_value`), and appends nothing, for another format, another number of values, a value that its type cannot
    /// hold, or behind `write`.
    template <typename... Args>
    boost::asio::awaitable<void> write_row(Args&&... values) {
        detail::check_parameters<Args...>();
        begin_row();
        (row_.add(values), ...);
        append_row();
        return flush_full();
    }

    /// Ends the data and gives the number of rows that are stored.
    boost::asio::awaitable<std::uint64_t> finish();
    /// Undoes it; `reason` is for the server's log. Completes when the connection is free; throws what prevents that. Nothing
    /// happens after the end.
    boost::asio::awaitable<void> abort(std::string_view reason = "the program gave it up");

private:
    template <typename>
    friend class detail::statement_calls;
    explicit copy_writer(detail::transfer_handle of);
    void begin_row();
    void append_row();
    [[nodiscard]] detail::running_transfer& begun() const;
    boost::asio::awaitable<void> flush_full();
    boost::asio::awaitable<void> send_collected();
    boost::asio::awaitable<void> end(const char* reason);
    boost::asio::awaitable<void> send(std::string_view data);

    detail::transfer_handle of_;  // null: ended
    std::string collected_;       // not handed over yet
    parameters row_;
    enum class content : unsigned char { nothing, raw, rows } content_ = content::nothing;
};

/// Receives the data of a `COPY … TO STDOUT`, in whatever format that statement names. As a `row_stream`: in bounded
/// memory, and the connection runs nothing else until it has ended or is destroyed.
class copy_reader {
public:
    /// Holds nothing: ended.
    copy_reader() noexcept = default;

    /// The next piece of data, or nothing at the end: a row (with its line feed) in the formats text and CSV; in the binary format
    /// the header, a row, or the trailer. Valid until the next call, and as long as this. Errors as `row_stream::next`.
    boost::asio::awaitable<std::optional<std::string_view>> next();
    /// Ends it early. Nothing happens if it has ended.
    void stop() noexcept;

private:
    template <typename>
    friend class detail::statement_calls;
    explicit copy_reader(detail::transfer_handle of) noexcept : of_{std::move(of)} {}

    detail::transfer_handle of_;  // null: it holds nothing
};

}  // namespace trunkline
