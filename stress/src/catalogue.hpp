#pragma once

#include "ledger.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace trunkline::stress {

/// The posts that were loaded, as the server holds them before the run: 12 bytes each.
class catalogue {
public:
    void add(std::uint64_t number, std::int32_t score) {
        numbers_.push_back(number);
        scores_.push_back(score);
    }
    [[nodiscard]] std::size_t size() const noexcept { return numbers_.size(); }
    [[nodiscard]] std::string id(std::size_t i) const;
    [[nodiscard]] std::uint64_t number(std::size_t i) const { return numbers_[i]; }
    [[nodiscard]] std::int32_t score(std::size_t i) const { return scores_[i]; }

private:
    std::vector<std::uint64_t> numbers_;  // in the order of their ids as text
    std::vector<std::int32_t> scores_;
};

/// Reads the catalogue from the server, page by page. Throws `error`.
boost::asio::awaitable<catalogue> read_catalogue(pool& from);

/// Reads every post again after the run and enters it in the ledger; the caller closes that. Throws `error`.
boost::asio::awaitable<void> audit(pool& from, const catalogue& before, ledger& book);

}  // namespace trunkline::stress
