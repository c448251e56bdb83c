#include "post_columns.hpp"

#include "user_error.hpp"
#include "utf8.hpp"

#include <charconv>
#include <cmath>

namespace trunkline::stress {

namespace {

constexpr std::size_t longest_quote = 40;  // bytes of a wrong value that a reason shows

std::string refusal(std::string_view column, std::string_view value, std::string_view wanted) {
    std::string shown{value.substr(0, longest_quote)};
    if (shown.size() < value.size()) {
        shown += "…";
    }
    return std::string{column} + " is '" + shown + "', not " + std::string{wanted};
}

template <typename T>
bool parse_whole(std::string_view text, T& into) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), into);
    return problem == std::errc{} && end == text.data() + text.size();
}

/// Python's words, and SQL's.
bool parse_flag(std::string_view text, bool& into) {
    into = text == "True" || text == "true" || text == "t";
    return into || text == "False" || text == "false" || text == "f";
}

bool parse_time(std::string_view text, std::chrono::sys_time<std::chrono::microseconds>& into) {
    double seconds = 0;
    constexpr double year_9999 = 253'402'300'800.0;
    if (!parse_whole(text, seconds) || !std::isfinite(seconds) || seconds < 0 || seconds >= year_9999) {
        return false;
    }
    into = std::chrono::sys_time<std::chrono::microseconds>{std::chrono::microseconds{std::llround(seconds * 1e6)}};
    return true;
}

}  // namespace

post_columns::post_columns(const csv_reader& reader, const std::string& file) {
    std::string missing;
    for (std::size_t i = 0; i < count; ++i) {
        if (const auto found = reader.column(names[i])) {
            at_[i] = *found;
        } else {
            missing += (missing.empty() ? "" : ", ") + std::string{names[i]};
        }
    }
    if (!missing.empty()) {
        throw user_error(file + ": the header has no column " + missing +
                         "; the first line must name the columns of a post");
    }
}

std::optional<std::string> post_columns::convert(const std::vector<std::string_view>& fields, post& into) const {
    const auto value = [&](column which) { return fields[at_[which]]; };
    for (std::size_t i = 0; i < count; ++i) {
        if (!is_valid_text(fields[at_[i]])) {
            return std::string{names[i]} + " is not valid UTF-8, or holds a NUL byte";
        }
    }
    if (!post_number(value(id))) {
        return refusal("id", value(id), "a number in base 36");
    }
    if (!parse_time(value(created_utc), into.created)) {
        return refusal("created_utc", value(created_utc), "seconds since the epoch");
    }
    const std::array numbers{std::pair{score, &into.score}, std::pair{ups, &into.ups}, std::pair{downs, &into.downs},
                             std::pair{num_comments, &into.num_comments}};
    for (const auto& [which, target] : numbers) {
        if (!parse_whole(value(which), *target)) {
            return refusal(names[which], value(which), "a whole number of 32 bits");
        }
    }
    const std::array flags{std::pair{over_18, &into.over_18}, std::pair{is_self, &into.is_self}};
    for (const auto& [which, target] : flags) {
        if (!parse_flag(value(which), *target)) {
            return refusal(names[which], value(which), "True or False");
        }
    }
    const std::array texts{std::pair{id, &into.id},
                           std::pair{domain, &into.domain},
                           std::pair{title, &into.title},
                           std::pair{permalink, &into.permalink},
                           std::pair{selftext, &into.selftext},
                           std::pair{subreddit_id, &into.subreddit_id},
                           std::pair{name, &into.name},
                           std::pair{url, &into.url}};
    for (const auto& [which, target] : texts) {
        target->assign(value(which));
    }
    return std::nullopt;
}

}  // namespace trunkline::stress
