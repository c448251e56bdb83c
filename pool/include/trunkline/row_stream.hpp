#pragma once

#include <trunkline/detail/transfer_handle.hpp>
#include <trunkline/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace trunkline {

namespace detail {
template <typename Runner>
class statement_calls;
}

/// The rows of a statement, one after another, in bounded memory: what the program has not asked for yet stays with the
/// server, which waits. It needs the memory of one row (of eight, where libpq gives several at a time) and of libpq's
/// buffer for what arrives.
///
/// The connection runs nothing else until the stream has ended: other statements fail with
/// `pool_errc::operation_in_progress`. Destroying the stream early, or `stop()`, makes the server stop and reads what is
/// left; the next statement waits for that, and if it takes longer than `query.cancel_timeout`, the connection is lost.
/// A lease that ends meanwhile ends the stream (`pool_errc::lease_released`). Move-only; like its connection it may be used
/// by any thread, one at a time, and must not be destroyed or moved while a `next()` is awaited.
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
    std::size_t place_ = 0;       // of the next row among those that came together
    std::uint64_t rows_ = 0;
};

}  // namespace trunkline
