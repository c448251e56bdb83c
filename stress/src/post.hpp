#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trunkline::stress {

/// One Reddit post.
struct post {
    std::string id;  ///< base 36, without leading zeros: see `post_number`
    std::string subreddit;
    std::chrono::sys_time<std::chrono::microseconds> created;
    std::int32_t score = 0;
    std::int32_t ups = 0;
    std::int32_t downs = 0;
    std::int32_t num_comments = 0;
    std::string domain;
    std::string title;
    std::string selftext;  ///< Markdown; empty for a link
    std::string permalink;
    std::string url;
    std::string subreddit_id;
    std::string name;
    bool over_18 = false;
    bool is_self = false;
};

/// Where posts come from, one at a time.
class post_source {
public:
    post_source() = default;
    post_source(const post_source&) = delete;
    post_source& operator=(const post_source&) = delete;
    virtual ~post_source() = default;
    /// Fills `into` (whose memory is used again) and says true; false at the end.
    virtual bool next(post& into) = 0;
};

/// Ids from here on are those of the posts that the run itself inserts: 36^9, ten digits, far beyond Reddit's seven.
inline constexpr std::uint64_t first_inserted_post = 101'559'956'668'416;

/// The number that an id stands for: base 36, `0-9a-z`, no leading zero, below `first_inserted_post`; nothing if it is
/// not one. A number needs 8 bytes where a string needs 32.
std::optional<std::uint64_t> post_number(std::string_view id);

/// Which insert has that id, from 0; nothing if it is none's.
std::optional<std::uint64_t> inserted_post_number(std::string_view id);

/// The id of any number.
std::string post_id(std::uint64_t number);

}  // namespace trunkline::stress
