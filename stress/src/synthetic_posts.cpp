#include "synthetic_posts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace trunkline::stress {

namespace {

constexpr std::size_t vocabulary = 20'000;
constexpr double skipped_ranks = 50;
constexpr std::size_t subreddits = 50;
constexpr std::size_t longest_selftext = 40'000;
constexpr double share_without_text = 0.744;
constexpr std::uint64_t first_id = 60'466'176;         // 36^5: ids of six digits from the start
constexpr std::int64_t first_created = 1'199'145'600;  // 2008

constexpr std::array<std::string_view, 20> onsets{"b", "br", "c", "d",  "f", "g",  "h", "j",  "k", "l",
                                                  "m", "n",  "p", "pr", "r", "st", "t", "tr", "v", "w"};
constexpr std::array<std::string_view, 10> vowels{"a", "e", "i", "o", "u", "ai", "ea", "io", "ou", "y"};
constexpr std::array<std::string_view, 10> codas{"n", "r", "l", "m", "k", "x", "d", "p", "g", "sk"};

/// The rank-th word. Each rank has its own: 200 first syllables times 100 second ones are the vocabulary.
void append_word_of_rank(std::string& to, std::size_t rank) {
    to += onsets[rank % 20];
    to += vowels[rank / 20 % 10];
    to += codas[rank / 200 % 10];
    to += vowels[rank / 2'000 % 10];
    to += codas[rank / 200 % 10];
}

}  // namespace

synthetic_posts::synthetic_posts(std::uint64_t seed, std::size_t count)
    : random_{seed},
      number_{first_id},
      left_{count} {}

bool synthetic_posts::next(post& into) {
    if (left_ == 0) {
        return false;
    }
    --left_;
    make(into);
    number_ += 1 + random_.below(40);
    into.id = post_id(number_);
    into.name = "t3_" + into.id;
    into.permalink = "http://www.reddit.com/r/" + into.subreddit + "/comments/" + into.id + "/";
    into.url = into.is_self ? into.permalink : "http://" + into.domain + "/" + into.id + ".html";
    return true;
}

void synthetic_posts::make(post& into) {
    // Squaring makes the first subreddits large and the last small.
    const double place = random_.fraction();
    const auto subreddit = static_cast<std::size_t>(place * place * subreddits);
    into.subreddit = "synthetic_";
    append_word_of_rank(into.subreddit, subreddit);
    into.subreddit_id = "t5_" + post_id(1'679'616 + subreddit);
    into.created = std::chrono::sys_time<std::chrono::microseconds>{
        std::chrono::seconds{first_created + static_cast<std::int64_t>(random_.below(5 * 365 * 86'400ULL))}};
    // Pareto: the median is 40, one of a thousand has more than 10,000 votes.
    const double votes = std::min(20.0 / std::pow(1.0 - random_.fraction(), 0.9), 1e6);
    into.ups = static_cast<std::int32_t>(votes);
    into.downs = static_cast<std::int32_t>(votes * 0.3 * random_.fraction());
    into.score = into.ups - into.downs;
    into.num_comments = static_cast<std::int32_t>(votes * random_.fraction());
    make_title(into.title);
    into.is_self = random_.fraction() >= share_without_text;
    into.selftext.clear();
    if (into.is_self) {
        make_selftext(into.selftext);
    }
    into.domain = into.is_self ? "self." + into.subreddit : "example.com";
    into.over_18 = random_.below(100) == 0;
}

void synthetic_posts::append_word(std::string& to) {
    // The inverse of the cumulated 1 / (rank + 50).
    const double rank =
        skipped_ranks * (std::pow((vocabulary + skipped_ranks) / skipped_ranks, random_.fraction()) - 1);
    append_word_of_rank(to, std::min(static_cast<std::size_t>(rank), vocabulary - 1));
}

void synthetic_posts::make_title(std::string& title) {
    title.clear();
    const auto words = 3 + random_.below(8) + random_.below(9);
    for (std::uint64_t i = 0; i < words; ++i) {
        if (i > 0) {
            title += random_.below(12) == 0 ? ", " : " ";
        }
        append_word(title);
    }
}

void synthetic_posts::make_selftext(std::string& text) {
    const double wanted = 550 * std::exp(random_.normal());
    const auto length = std::min(static_cast<std::size_t>(wanted), longest_selftext);
    while (text.size() < length) {
        if (!text.empty()) {
            const auto mark = random_.below(60);
            text += mark == 0 ? ".\n\n" : mark < 5 ? ". " : mark == 5 ? " \"quoted\" " : " ";
        }
        append_word(text);
    }
    text.resize(std::min(text.size(), longest_selftext));
}

}  // namespace trunkline::stress
