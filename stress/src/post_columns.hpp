#pragma once

#include "csv_reader.hpp"
#include "post.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::stress {

/// Where each of a post's columns stands in a file; they are found by name, in any order, others are ignored.
class post_columns {
public:
    /// Throws `user_error`, which names `file` and every column that its header lacks.
    post_columns(const csv_reader& reader, const std::string& file);

    /// Makes a post of a record. Says what is wrong with it, or nothing if all is well.
    std::optional<std::string> convert(const std::vector<std::string_view>& fields, post& into) const;

private:
    enum column : std::size_t {
        created_utc,
        score,
        domain,
        id,
        title,
        ups,
        downs,
        num_comments,
        permalink,
        selftext,
        over_18,
        subreddit_id,
        is_self,
        name,
        url,
        count
    };
    static constexpr std::array<std::string_view, count> names{
        "created_utc", "score",    "domain",  "id",           "title",   "ups",  "downs", "num_comments",
        "permalink",   "selftext", "over_18", "subreddit_id", "is_self", "name", "url"};

    std::array<std::size_t, count> at_{};
};

}  // namespace trunkline::stress
