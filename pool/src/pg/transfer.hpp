#pragma once

#include "session.hpp"

#include <trunkline/detail/transfer_handle.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace trunkline::pg {

/// When a statement was begun and sent.
struct statement_times {
    std::chrono::steady_clock::time_point begun{};
    std::chrono::steady_clock::time_point sent{};
};

/// What a transfer has for who asks.
enum class arrival : unsigned char {
    piece,  ///< the next piece, or room for one
    later,  ///< nothing yet: `await`
    over,   ///< nothing more: `code` says how it ended
};

/// A statement whose rows, or whose COPY data, pass piece by piece: an operation that lasts until its last piece. While
/// nobody asks for the next, nothing is read from the network, so that the server waits. It completes, maybe many times,
/// whenever somebody who has begun it or called `await` is to look again. Like its session it may be used by any thread,
/// one at a time. It lives until it is over or `let_go` has been called.
class transfer : public operation {
public:
    using sort = detail::transfer_sort;

    explicit transfer(sort what) noexcept : is{what} { is_transfer = true; }
    transfer(const transfer&) = delete;
    transfer& operator=(const transfer&) = delete;

    /// The next piece, in `row` or `data`, which stay until the next call; for `copy_in` whether there is room. Never waits.
    [[nodiscard]] arrival next() noexcept;
    /// Whether it has ended with an error, and without a piece that is still to be taken.
    [[nodiscard]] bool has_failed() noexcept;
    /// Completes once `next` has something else to say than `later`; `timeout` of the operation counts from here.
    void await() noexcept;
    /// Ends it as `session::cancel` does: `next` and `await` tell `operation_aborted`.
    void cancel() noexcept;
    /// Gives it up, if it is not over: the server is made to stop. Nothing is told.
    void let_go() noexcept;

    /// For `copy_in`, when `next` has said that there is room: hands data over. Copies it.
    void put(std::string_view data) noexcept;
    /// For `copy_in`: no more data. With a reason, a NUL behind it, the server undoes it all. What it says of that comes with
    /// `over`.
    void put_end(const char* reason) noexcept;

    [[nodiscard]] const result& row() const noexcept { return row_; }
    [[nodiscard]] std::string_view data() const noexcept { return {data_.get(), length_}; }
    /// Of a COPY.
    [[nodiscard]] bool is_binary() const noexcept { return binary_; }
    [[nodiscard]] std::size_t columns() const noexcept { return columns_; }

    const sort is;

private:
    friend class session::link;
    struct free_data {
        void operator()(char* data) const noexcept;
    };

    // All of these belong to the session, under its lock, until the transfer is over; but what `next` gave.
    std::shared_ptr<session::link> on_;  // null: it was never begun
    bool awaited_ = false;               // somebody sleeps until there is something to say
    bool open_ = false;                  // the server has agreed
    bool over_ = false;                  // the outcome is known
    bool ended_ = false;                 // of COPY's data the end has been sent, or has come
    bool binary_ = false;
    bool reported_ = false;
    std::uint64_t rows_given_ = 0;
    statement_times times_;
    std::size_t columns_ = 0;
    bool has_piece_ = false;  // that nobody has taken
    result row_, next_row_;
    std::unique_ptr<char, free_data> data_, next_data_;
    std::size_t length_ = 0;
    std::size_t next_length_ = 0;
};

}  // namespace trunkline::pg
