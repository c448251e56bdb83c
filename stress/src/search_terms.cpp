#include "search_terms.hpp"

#include <algorithm>
#include <array>

namespace trunkline::stress {

namespace {

constexpr std::size_t shortest_word = 4;
constexpr std::size_t longest_word = 32;

// english.stop, the words of four and more letters, and the rests of "don't", "won't" …; sorted.
constexpr std::array<std::string_view, 56> stop_words{
    "about",   "above", "after", "again",   "against", "because",   "been",       "before", "being",   "below",
    "between", "both",  "does",  "doing",   "down",    "during",    "each",       "from",   "further", "have",
    "having",  "here",  "hers",  "herself", "himself", "into",      "itself",     "just",   "more",    "most",
    "myself",  "once",  "only",  "other",   "ours",    "ourselves", "over",       "same",   "should",  "some",
    "such",    "than",  "that",  "their",   "theirs",  "them",      "themselves", "then",   "there",   "these",
    "they",    "this",  "those", "through", "under",   "until"};
constexpr std::array<std::string_view, 14> more_stop_words{"very",  "were",  "what",     "when",      "where",
                                                           "which", "while", "whom",     "will",      "with",
                                                           "your",  "yours", "yourself", "yourselves"};

bool is_stop_word(std::string_view word) {
    return std::binary_search(stop_words.begin(), stop_words.end(), word) ||
           std::binary_search(more_stop_words.begin(), more_stop_words.end(), word);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool joins_words(char c) { return (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

}  // namespace

void split_into_words(std::string_view title, std::vector<std::string>& into) {
    into.clear();
    for (std::size_t at = 0; at < title.size();) {
        const auto from = at;
        bool letters_only = true;
        while (at < title.size() && (is_letter(title[at]) || joins_words(title[at]))) {
            letters_only = letters_only && is_letter(title[at]);
            ++at;
        }
        std::string word{title.substr(from, at - from)};
        std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c | 0x20); });
        if (letters_only && word.size() >= shortest_word && word.size() <= longest_word && !is_stop_word(word) &&
            std::find(into.begin(), into.end(), word) == into.end()) {
            into.push_back(std::move(word));
        }
        at += at == from ? 1 : 0;
    }
}

search_terms::search_terms(std::uint64_t seed) : random_{seed} {}

void search_terms::offer(std::string_view title) {
    split_into_words(title, words_);
    if (words_.empty()) {
        return;
    }
    // Each title seen so far stays in the sample with the same probability.
    const auto place = seen_ < sample ? seen_ : random_.below(seen_ + 1);
    ++seen_;
    if (place >= sample) {
        return;
    }
    const auto first = random_.below(words_.size());
    auto term = words_[first];
    if (words_.size() > 1) {
        const auto second = (first + 1 + random_.below(words_.size() - 1)) % words_.size();
        term += ' ' + words_[second];
    }
    if (place < terms_.size()) {
        terms_[place] = std::move(term);
    } else {
        terms_.push_back(std::move(term));
    }
}

}  // namespace trunkline::stress
