#include "masked_text.hpp"

#include "diagnosis.hpp"

#include <algorithm>

namespace trunkline::pg {

namespace {

constexpr std::size_t shortest_secret = 3;

constexpr std::string_view keywords[] = {
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "service",
    "connect_timeout",
    "application_name",
    "options",
    "postgres://",
    "postgresql://",
    "URI",
    "connection",
    "option",
    "parameter",
    "query",
    "value",
    "string",
};

std::size_t shared_length(std::string_view text, std::string_view secret) {
    std::size_t longest = 0;
    for (std::size_t at = 0; at < secret.size(); ++at) {
        const auto pair = std::ranges::mismatch(text, secret.substr(at));
        longest = std::max(longest, static_cast<std::size_t>(pair.in1 - text.begin()));
    }
    return longest;
}

bool is_keyword(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return std::ranges::find(keywords, text) != std::end(keywords);
}

}  // namespace

std::string masked_text(std::string_view text, std::string_view secret) {
    const std::string line = one_line(text);
    std::string masked;
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t shared = shared_length(std::string_view{line}.substr(at), secret);
        const auto part = std::string_view{line}.substr(at, std::max<std::size_t>(shared, 1));
        masked += shared >= shortest_secret && !is_keyword(part) ? "…" : part;
        at += part.size();
    }
    return masked;
}

}  // namespace trunkline::pg
