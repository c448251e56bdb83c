#pragma once

#include <trunkline/detail/transfer_handle.hpp>
#include <trunkline/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>

namespace trunkline {

namespace detail {
template <typename Runner>
class statement_calls;
}

/// The rows of a statement, one after another, in bounded memory: what the program has not asked for yet stays with the
/// server, which waits. It needs the memory of one row and of libpq's buffer for what arrives.
///
/// The connection runs nothing else until the stream has ended: other statements fail with
/// `pool_errc::operation_in_progress`. A lease that ends meanwhile ends the stream (`pool_errc::lease_released`, behind the
/// row that has come already).
///
/// Destroying the stream early, or `stop()`, makes the server stop, unless the end has come already, and reads what is left;
/// the next statement waits for that. Like every statement that is stopped it fails a transaction that it runs in, and the
/// connection is lost if it takes longer than `query.cancel_timeout`, or if the pool has used up its share of requests: half
/// as many as it runs statements, and 128.
///
/// A server sends when it has 8 KiB to send or is done: few small rows that come slowly come late. Move-only; like its
/// connection a stream may be used by any thread, one at a time, and must not be destroyed or moved while a `next()` is
/// awaited.
class row_stream {
public:
    /// Holds nothing: ended.
    row_stream() noexcept = default;

    /// The next row, or nothing at the end; valid until the next call, and as long as this. Throws `error` when the
    /// statement fails in the middle, `query_timeout` when this call's time is over, `operation_aborted` when it is
    /// cancelled; then the stream has ended, and each further call throws the same.
    boost::asio::awaitable<std::optional<row>> next();
    /// Ends it early. Nothing happens if it has ended.
    void stop() noexcept;

    /// Rows that `next()` has given.
    [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }

private:
    template <typename>
    friend class detail::statement_calls;
    explicit row_stream(detail::transfer_handle of) noexcept : of_{std::move(of)} {}

    detail::transfer_handle of_;  // null: it holds nothing
    std::uint64_t rows_ = 0;
};

}  // namespace trunkline
