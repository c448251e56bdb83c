#include <trunkline/error.hpp>
#include <trunkline/query_options.hpp>

#include <algorithm>

namespace trunkline {

namespace {

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: nothing in there can end a comment.
bool is_trace_parent(std::string_view text) noexcept {
    constexpr std::string_view form = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    return std::ranges::equal(text, form, [](char one, char as) {
        return as == '-' ? one == '-' : (one >= '0' && one <= '9') || (one >= 'a' && one <= 'f');
    });
}

}  // namespace

std::string detail::text_of(const query_options& options, std::string_view sql) {
    if (options.trace_parent.empty()) {
        return std::string{sql};
    }
    if (!is_trace_parent(options.trace_parent)) {
        throw error{
            pool_errc::invalid_value,
            "the trace parent must have the form 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case"};
    }
    std::string text;
    text.reserve(sql.size() + options.trace_parent.size() + 20);
    // A line of its own: the statement may end with a comment of the kind that ends with the line.
    text.append(sql).append("\n/*traceparent='").append(options.trace_parent).append("'*/");
    return text;
}

}  // namespace trunkline
