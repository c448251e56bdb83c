#include "connect_failure_text.hpp"

#include "diagnosis.hpp"

#include <algorithm>
#include <optional>

namespace trunkline::pg {

namespace {

bool is_code(std::string_view text) {
    return text.size() == 5 &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

struct answer {
    std::string_view severity;
    std::string_view sqlstate;
    std::string_view message;
};

/// `… failed: FATAL:  28P01: password authentication failed for user "x"`: two spaces, then one, in every language.
std::optional<answer> read_answer(std::string_view line) {
    for (auto at = line.find(":  "); at != std::string_view::npos; at = line.find(":  ", at + 1)) {
        const auto code = line.substr(at + 3, 5);
        if (is_code(code) && line.substr(std::min(at + 8, line.size()), 2) == ": ") {
            const auto before = line.substr(0, at);
            const auto word = before.rfind(' ');
            return answer{word == std::string_view::npos ? before : before.substr(word + 1), code,
                          line.substr(at + 10)};
        }
    }
    return std::nullopt;
}

std::optional<std::string_view> after(std::string_view line, std::string_view label) {
    return line.starts_with(label) ? std::optional{line.substr(label.size())} : std::nullopt;
}

/// A line of the server's after its first: `DETAIL:  …`, `HINT:  …`, `LOCATION:  auth_failed, auth.c:335`.
void read_more(std::string_view line, diagnostics& into) {
    if (const auto detail = after(line, "DETAIL:  ")) {
        into.detail = *detail;
    } else if (const auto hint = after(line, "HINT:  ")) {
        into.hint = *hint;
    } else if (line.find(":  ") == std::string_view::npos) {
        into.message += ' ';
        into.message += line;
    }
}

}  // namespace

diagnostics read_connect_failure(std::string_view libpq_text) {
    diagnostics found;
    bool answered = false;
    for (auto rest = libpq_text; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (const auto server = read_answer(line)) {
            found = {};
            found.severity = server->severity;
            found.sqlstate = server->sqlstate;
            found.message = server->message;
            answered = true;
        } else if (answered && !line.starts_with("connection to server ")) {
            read_more(line, found);
        }
    }
    if (!answered) {
        // The caller names the host, and better: libpq's words begin behind it.
        const auto failed = libpq_text.rfind(" failed: ");
        const bool names_host = libpq_text.starts_with("connection to server ") && failed != std::string_view::npos;
        found.message = std::string{names_host ? libpq_text.substr(failed + 9) : libpq_text};
    }
    found.message = one_line(found.message);
    return found;
}

}  // namespace trunkline::pg
