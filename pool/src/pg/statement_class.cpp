#include "statement_class.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace trunkline::pg {

namespace {

using namespace std::string_view_literals;

// First words of statements that leave nothing by themselves; of SET and DECLARE the words that follow decide.
constexpr auto harmless_verbs = [] {
    std::array verbs{"abort"sv,   "analyze"sv, "begin"sv,  "checkpoint"sv, "close"sv,   "commit"sv,   "deallocate"sv,
                     "declare"sv, "delete"sv,  "end"sv,    "explain"sv,    "fetch"sv,   "insert"sv,   "lock"sv,
                     "merge"sv,   "move"sv,    "notify"sv, "prepare"sv,    "release"sv, "rollback"sv, "savepoint"sv,
                     "select"sv,  "set"sv,     "show"sv,   "start"sv,      "table"sv,   "truncate"sv, "update"sv,
                     "vacuum"sv,  "values"sv,  "with"sv};
    std::ranges::sort(verbs);
    return verbs;
}();

constexpr std::size_t longest_word = 32;  // longer than any that is known: a longer one is unknown, too

enum class token : unsigned char { end, word, quoted_name, open, dot, other, unclear };

constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Walks over a statement as PostgreSQL's lexer does, as far as it matters here.
class scanner {
public:
    explicit scanner(std::string_view sql) noexcept : at_{sql.data()}, end_{sql.data() + sql.size()} {}

    token next() noexcept {
        if (!skip_blank()) {
            return token::unclear;
        }
        if (at_ == end_) {
            return token::end;
        }
        const char c = *at_;
        if (is_letter(c)) {
            return read_word();
        }
        if (is_digit(c)) {  // 1e5 and 0x1F hold no words
            skip_while([](char each) { return is_letter(each) || is_digit(each); });
            return token::other;
        }
        switch (c) {
        case '\'': return skip_quoted('\'', false) ? token::other : token::unclear;
        case '"': return skip_quoted('"', true) ? token::quoted_name : token::unclear;
        case '$': return skip_dollar() ? token::other : token::unclear;
        default: ++at_; return c == '(' ? token::open : c == '.' ? token::dot : token::other;
        }
    }

    /// Of the latest `token::word`, in lower case; cut where it is too long to be known.
    [[nodiscard]] std::string_view word() const noexcept { return {word_, length_}; }

private:
    template <typename Test>
    void skip_while(Test wanted) noexcept {
        while (at_ != end_ && wanted(*at_)) {
            ++at_;
        }
    }

    [[nodiscard]] bool sees(char first, char second) const noexcept {
        return end_ - at_ >= 2 && at_[0] == first && at_[1] == second;
    }

    bool skip_blank() noexcept {
        while (at_ != end_) {
            if (is_space(*at_)) {
                ++at_;
            } else if (sees('-', '-')) {
                skip_while([](char c) { return c != '\n' && c != '\r'; });
            } else if (!sees('/', '*')) {
                return true;
            } else if (!skip_comment()) {
                return false;
            }
        }
        return true;
    }

    bool skip_comment() noexcept {
        int depth = 0;
        do {
            if (sees('/', '*')) {
                ++depth;
                at_ += 2;
            } else if (sees('*', '/')) {
                --depth;
                at_ += 2;
            } else if (at_ == end_) {
                return false;
            } else {
                ++at_;
            }
        } while (depth > 0);
        return true;
    }

    token read_word() noexcept {
        length_ = 0;
        for (; at_ != end_ && (is_letter(*at_) || is_digit(*at_) || *at_ == '$'); ++at_) {
            if (length_ < longest_word) {
                const char c = *at_;
                word_[length_++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            }
        }
        if (at_ != end_ && *at_ == '\'' && length_ == 1) {  // E'…', B'…', N'…', X'…'
            if (word_[0] != 'e') {
                return skip_quoted('\'', false) ? token::other : token::unclear;
            }
            return skip_escaped() ? token::other : token::unclear;
        }
        return token::word;
    }

    // What a backslash means in a plain literal depends on standard_conforming_strings: in front of a quote it is unclear
    // where the literal ends.
    bool skip_quoted(char quote, bool backslash_is_plain) noexcept {
        for (++at_; at_ != end_; ++at_) {
            if (*at_ == quote) {
                ++at_;
                if (at_ == end_ || *at_ != quote) {
                    return true;
                }
            } else if (*at_ == '\\' && !backslash_is_plain && end_ - at_ >= 2 && at_[1] == quote) {
                return false;
            }
        }
        return false;
    }

    bool skip_escaped() noexcept {
        for (++at_; at_ != end_; ++at_) {
            if (*at_ == '\\') {
                ++at_;
                if (at_ == end_) {
                    return false;
                }
            } else if (*at_ == '\'') {
                ++at_;
                if (at_ == end_ || *at_ != '\'') {
                    return true;
                }
            }
        }
        return false;
    }

    // $1, or a text between $$ and $$, or between $tag$ and $tag$.
    bool skip_dollar() noexcept {
        const char* const begin = at_++;
        if (at_ != end_ && is_digit(*at_)) {
            skip_while(is_digit);
            return true;
        }
        skip_while([](char c) { return is_letter(c) || is_digit(c); });
        if (at_ == end_ || *at_ != '$') {
            return false;
        }
        ++at_;
        const std::string_view tag{begin, static_cast<std::size_t>(at_ - begin)};
        const auto found = std::string_view{at_, static_cast<std::size_t>(end_ - at_)}.find(tag);
        if (found == std::string_view::npos) {
            return false;
        }
        at_ += found + tag.size();
        return true;
    }

    const char* at_;
    const char* const end_;
    std::size_t length_ = 0;
    char word_[longest_word];
};

/// The first word of a statement, parentheses skipped: `(SELECT 1) UNION …`.
token find_verb(scanner& in) noexcept {
    auto got = in.next();
    while (got == token::open) {
        got = in.next();
    }
    return got;
}

enum class verb : unsigned char { plain, set, declare, explain };

verb verb_of(std::string_view word) noexcept {
    return word == "set"sv       ? verb::set
           : word == "declare"sv ? verb::declare
           : word == "explain"sv ? verb::explain
                                 : verb::plain;
}

/// What the tokens so far say of the next one.
struct context {
    enum class naming : unsigned char {
        no,
        awaited,  // behind INTO or AS comes a name, and behind it a list of columns maybe
        done,     // that name has come; a dot continues it
    };
    naming name = naming::no;
    bool callable = false;    // the latest token may be a function's name,
    bool known = false;       // and that one is harmless
    bool qualified = false;   // the latest token was a dot
    bool in_catalog = false;  // the latest word was pg_catalog
};

/// Whether a word says by itself, wherever it stands, that something stays.
bool word_leaves_state(verb in, std::string_view word, const context& before) noexcept {
    if (word == "pg_temp"sv || (in == verb::declare && word == "hold"sv)) {
        return true;
    }
    if (in == verb::explain && (word == "create"sv || word == "declare"sv || word == "execute"sv)) {
        return true;
    }
    return before.name == context::naming::awaited &&
           (word == "temp"sv || word == "temporary"sv || word == "local"sv || word == "global"sv);
}

void take_word(context& of, std::string_view word) noexcept {
    using enum context::naming;
    const bool starts_name = !of.qualified && (word == "into"sv || word == "as"sv);
    if (starts_name || (of.name == awaited && word == "recursive"sv)) {
        of.name = awaited;
        of.callable = starts_name;
        of.known = true;  // AS (SELECT …)
    } else if (of.name == awaited) {
        of.name = done;
        of.callable = false;
    } else {
        of.name = no;
        of.callable = true;
        of.known = (!of.qualified || of.in_catalog) && is_harmless_function(word);
    }
    of.in_catalog = !of.qualified && word == "pg_catalog"sv;
    of.qualified = false;
}

/// The rest of a statement: calls something that is not known to be harmless, or makes something temporary.
bool rest_leaves_state(scanner& in, verb what, context so_far) noexcept {
    using enum context::naming;
    for (;;) {
        switch (in.next()) {
        case token::end: return false;
        case token::unclear: return true;
        case token::open:
            if (so_far.callable && !so_far.known) {
                return true;
            }
            so_far = {};
            break;
        case token::dot:
            so_far.qualified = true;
            so_far.callable = false;
            so_far.name = so_far.name == done ? awaited : no;
            break;
        case token::other: so_far = {}; break;
        case token::quoted_name:
            so_far.callable = so_far.name != awaited;
            so_far.known = so_far.qualified = so_far.in_catalog = false;
            so_far.name = so_far.name == awaited ? done : no;
            break;
        case token::word:
            if (word_leaves_state(what, in.word(), so_far)) {
                return true;
            }
            take_word(so_far, in.word());
            break;
        }
    }
}

}  // namespace

bool may_leave_state(std::string_view sql) noexcept {
    scanner in{sql};
    const auto first = find_verb(in);
    if (first == token::end || (first == token::other && in.next() == token::end)) {  // nothing, or a lone semicolon
        return false;
    }
    if (first != token::word || !std::ranges::binary_search(harmless_verbs, in.word())) {
        return true;
    }
    const auto what = verb_of(in.word());
    context start;
    if (in.word() == "with"sv || in.word() == "prepare"sv) {
        start.name = context::naming::awaited;
    }
    if (what == verb::set) {  // what ends with the transaction
        return in.next() != token::word ||
               (in.word() != "local"sv && in.word() != "transaction"sv && in.word() != "constraints"sv);
    }
    return rest_leaves_state(in, what, start);
}

bool is_copy(std::string_view sql) noexcept {
    scanner in{sql};
    return find_verb(in) == token::word && in.word() == "copy"sv;
}

}  // namespace trunkline::pg
