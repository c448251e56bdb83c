#pragma once

#include "random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::stress {

/// What clients search for: two words that stand together in the title of some post, or the one word that a title has.
/// A fair sample of all titles, of bounded size, drawn while the posts stream by; the same seed gives the same sample.
class search_terms {
public:
    static constexpr std::size_t sample = 4'096;

    explicit search_terms(std::uint64_t seed);

    void offer(std::string_view title);

    [[nodiscard]] bool empty() const noexcept { return terms_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return terms_.size(); }
    [[nodiscard]] const std::string& pick(std::uint64_t random) const { return terms_[random % terms_.size()]; }

private:
    random_numbers random_;
    std::uint64_t seen_ = 0;
    std::vector<std::string> terms_;
    std::vector<std::string> words_;  ///< of the title at hand; kept for its memory
};

/// The words of a title that are worth a search: ASCII letters alone, four or more, lower case, no stop words of
/// PostgreSQL's English dictionary, each once.
void split_into_words(std::string_view title, std::vector<std::string>& into);

}  // namespace trunkline::stress
