#include "running_transfer.hpp"

#include <trunkline/copy.hpp>
#include <trunkline/error.hpp>
#include <trunkline/sqlstate.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace trunkline {

namespace asio = boost::asio;

namespace {

/// So much is handed to libpq at a time: it sends that in one system call, mostly.
constexpr std::size_t piece = std::size_t{64} << 10;

constexpr std::string_view binary_header{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
constexpr std::string_view binary_trailer{"\377\377", 2};

template <typename Unsigned>
void append_number(std::string& to, Unsigned value) {
    std::byte bytes[sizeof(Unsigned)];
    detail::put_big_endian(bytes, value);
    to.append(reinterpret_cast<const char*>(bytes), sizeof(bytes));
}

[[noreturn]] void throw_ended() { throw error{pool_errc::copy_ended, diagnostics{}}; }

}  // namespace

copy_writer::copy_writer() noexcept = default;
copy_writer::copy_writer(copy_writer&&) noexcept = default;
copy_writer& copy_writer::operator=(copy_writer&&) noexcept = default;
copy_writer::~copy_writer() = default;

copy_writer::copy_writer(detail::transfer_handle of) : of_{std::move(of)} { collected_.reserve(piece); }

detail::running_transfer& copy_writer::begun() const {
    if (of_ == nullptr) {
        throw_ended();
    }
    return *of_;
}

asio::awaitable<void> copy_writer::write(std::string_view data) {
    (void)begun();
    if (content_ == content::rows) {
        throw error{pool_errc::invalid_value, "rows of values have been written, and no other data can follow them"};
    }
    content_ = data.empty() ? content_ : content::raw;
    if (collected_.size() + data.size() < piece) {
        collected_ += data;
        co_return;
    }
    co_await send_collected();
    co_await send(data);
}

void copy_writer::begin_row() {
    row_.clear();
    if (!begun().is_binary()) {
        throw error{pool_errc::invalid_value, "rows of values need COPY … (FORMAT binary)"};
    }
    if (content_ == content::raw) {
        throw error{pool_errc::invalid_value, "other data has been written, and no rows of values can follow it"};
    }
}

void copy_writer::append_row() {
    if (row_.size() != of_->columns()) {
        throw error{pool_errc::invalid_value, std::to_string(row_.size()) + " values for a row of " +
                                                  std::to_string(of_->columns()) + " columns"};
    }
    // Room for all of it first: half a row must not stay there.
    collected_.reserve(collected_.size() + binary_header.size() + 2 + 4 * row_.size() + row_.bytes().size());
    if (content_ == content::nothing) {
        collected_ += binary_header;
        content_ = content::rows;
    }
    append_number(collected_, static_cast<std::uint16_t>(row_.size()));
    const auto* const bytes = reinterpret_cast<const char*>(row_.bytes().data());
    for (const auto& value : row_.entries()) {
        append_number(collected_, static_cast<std::uint32_t>(value.length));
        if (value.length > 0) {
            collected_.append(bytes + value.offset, static_cast<std::size_t>(value.length));
        }
    }
}

asio::awaitable<void> copy_writer::flush_full() {
    if (collected_.size() >= piece) {
        co_await send_collected();
    }
}

asio::awaitable<void> copy_writer::send_collected() {
    // Taken first: what is not sent because this fails is not sent by a later call either.
    const auto data = std::exchange(collected_, std::string{});
    co_await send(data);
    collected_.reserve(piece);
}

/// In pieces, with a look at what else there is to do between them. What fails here has undone the COPY.
asio::awaitable<void> copy_writer::send(std::string_view data) {
    (void)begun();
    try {
        while (!data.empty()) {
            switch (of_->next()) {
            case pg::arrival::piece:
                of_->put(data.substr(0, piece));
                data.remove_prefix(std::min(data.size(), piece));
                co_await asio::post(asio::use_awaitable);
                break;
            case pg::arrival::over: of_->check(); throw_ended();  // by the server, without an error: it never does
            case pg::arrival::later: co_await of_->until_more(); break;
            }
        }
    } catch (...) {
        of_->cancel();
        throw;
    }
}

asio::awaitable<std::uint64_t> copy_writer::finish() {
    if (begun().is_binary() && content_ != content::raw) {
        collected_ += content_ == content::nothing ? binary_header : std::string_view{};
        collected_ += binary_trailer;
        content_ = content::raw;  // complete
    }
    co_await send_collected();
    co_await end(nullptr);
    const auto ended = std::move(of_);
    ended->check();
    co_return ended->rows.rows_affected();
}

/// Waits until the server has said what becomes of it.
asio::awaitable<void> copy_writer::end(const char* reason) {
    (void)begun();
    try {
        of_->put_end(reason);
        while (of_->next() != pg::arrival::over) {
            co_await of_->until_more();
        }
    } catch (...) {
        of_->cancel();
        throw;
    }
}

asio::awaitable<void> copy_writer::abort(std::string_view reason) {
    if (of_ == nullptr || of_->next() == pg::arrival::over) {
        of_.reset();
        co_return;
    }
    const std::string words{reason};
    co_await end(words.c_str());
    const auto ended = std::move(of_);
    if (!ended->was_undone()) {
        ended->check();
    }
}

asio::awaitable<std::optional<std::string_view>> copy_reader::next() {
    while (of_ != nullptr) {
        switch (of_->next()) {
        case pg::arrival::piece: co_return of_->data();
        case pg::arrival::over: of_->check(); co_return std::nullopt;
        case pg::arrival::later: co_await of_->until_more(); break;
        }
    }
    co_return std::nullopt;
}

void copy_reader::stop() noexcept { of_.reset(); }

}  // namespace trunkline
