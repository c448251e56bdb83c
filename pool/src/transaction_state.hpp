#pragma once

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

namespace trunkline {
class connection;
}

namespace trunkline::detail {

/// The transactions that guards hold open on one connection during one lease: the outermost and the savepoints inside
/// it. The connection and its guards share it, so that a guard that outlives its lease finds that out here and touches
/// nothing that belongs to the next borrower. Without a lock: a connection and its guards are used one at a time.
class transaction_state {
public:
    /// No level's.
    static constexpr std::uint64_t none = 0;

    explicit transaction_state(connection& of) noexcept : of_{&of} {}
    transaction_state(const transaction_state&) = delete;
    transaction_state& operator=(const transaction_state&) = delete;

    /// Null once the lease has ended.
    [[nodiscard]] connection* of() const noexcept { return of_; }
    void set_connection(connection* now) noexcept { of_ = now; }

    /// A new innermost level, which nobody else's number equals. `inside`: of a transaction that no guard has begun.
    std::uint64_t open(bool inside) {
        if (levels_.empty()) {
            inside_ = inside;
        }
        levels_.push_back(last_ + 1);
        return ++last_;
    }
    /// Whether it is there, and no rollback of it is owed.
    [[nodiscard]] bool is_open(std::uint64_t level) const noexcept { return place_of(level) < open_levels(); }
    /// Whether no level inside it is open.
    [[nodiscard]] bool is_innermost(std::uint64_t level) const noexcept { return place_of(level) + 1 == open_levels(); }
    [[nodiscard]] bool is_empty() const noexcept { return levels_.empty(); }

    /// It is over on the server, with all inside it.
    void end(std::uint64_t level) noexcept { cut(place_of(level)); }
    /// All are.
    void end_all() noexcept { cut(0); }
    /// The server must roll it back.
    void abandon(std::uint64_t level) noexcept { owed_ = std::min(owed_, place_of(level)); }

    /// The outermost level whose rollback is owed, or `none`.
    [[nodiscard]] std::uint64_t owed() const noexcept { return owed_ < levels_.size() ? levels_[owed_] : none; }
    /// What a level is called on the server; empty: it is the whole transaction.
    [[nodiscard]] std::string savepoint(std::uint64_t level) const {
        const auto depth = place_of(level) + (inside_ ? 1 : 0);
        return depth == 0 ? std::string{} : "trunkline_" + std::to_string(depth);
    }

private:
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t place_of(std::uint64_t level) const noexcept {
        const auto found = std::find(levels_.begin(), levels_.end(), level);
        return found == levels_.end() ? nowhere : static_cast<std::size_t>(std::distance(levels_.begin(), found));
    }
    [[nodiscard]] std::size_t open_levels() const noexcept { return std::min(owed_, levels_.size()); }
    void cut(std::size_t from) noexcept {
        if (from < levels_.size()) {
            levels_.erase(levels_.begin() + static_cast<std::ptrdiff_t>(from), levels_.end());
        }
        if (owed_ >= levels_.size()) {
            owed_ = nowhere;
        }
    }

    connection* of_;
    boost::container::small_vector<std::uint64_t, 4> levels_;  // outermost first; a number is never used again
    std::uint64_t last_ = none;
    std::size_t owed_ = nowhere;  // the place of the outermost one whose rollback is owed
    bool inside_ = false;         // the outermost is a savepoint, too
};

}  // namespace trunkline::detail
