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

enum class token : unsigned char { end, word, quoted_name, open, dot, semicolon, other, unclear };

/// What a character is, or begins.
enum class kind : unsigned char { other, space, letter, digit, quote, double_quote, dollar, open, dot, dash, slash };

constexpr auto kinds = [] {
    std::array<kind, 256> all{};
    for (int c = 0; c < 256; ++c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
        all[static_cast<std::size_t>(c)] = letter                            ? kind::letter
                                           : c >= '0' && c <= '9'            ? kind::digit
                                           : c == ' ' || (c >= 9 && c <= 13) ? kind::space
                                                                             : kind::other;
    }
    all['\''] = kind::quote;
    all['"'] = kind::double_quote;
    all['$'] = kind::dollar;
    all['('] = kind::open;
    all['.'] = kind::dot;
    all['-'] = kind::dash;
    all['/'] = kind::slash;
    return all;
}();

/// A character of a word in lower case; 0 if it is none.
constexpr auto folded = [] {
    std::array<char, 256> all{};
    for (std::size_t c = 0; c < 256; ++c) {
        if (kinds[c] == kind::letter || kinds[c] == kind::digit || kinds[c] == kind::dollar) {
            all[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        }
    }
    return all;
}();

constexpr kind kind_of(char c) noexcept { return kinds[static_cast<unsigned char>(c)]; }
/// Whether a word is this one, which is in lower case.
constexpr bool is(std::string_view word, std::string_view lower) noexcept {
    return word.size() == lower.size() &&
           std::ranges::equal(word, lower, {}, [](char c) { return folded[static_cast<unsigned char>(c)]; });
}

/// A word in lower case.
struct lowered {
    explicit lowered(std::string_view word) noexcept : length{std::min(word.size(), sizeof(text))} {
        std::ranges::transform(word.substr(0, length), text,
                               [](char c) { return folded[static_cast<unsigned char>(c)]; });
    }
    [[nodiscard]] std::string_view view() const noexcept { return {text, length}; }
    std::size_t length;
    char text[32];  // longer than any that is known: a longer one is unknown, too
};

constexpr bool is_letter(char c) noexcept { return kind_of(c) == kind::letter; }
constexpr bool is_digit(char c) noexcept { return kind_of(c) == kind::digit; }

/// Walks over a statement as PostgreSQL's lexer does, as far as it matters here.
class scanner {
public:
    explicit scanner(std::string_view sql) noexcept : at_{sql.data()}, end_{sql.data() + sql.size()} {}

    token next() noexcept {
        for (;;) {
            if (at_ == end_) {
                return token::end;
            }
            switch (kind_of(*at_)) {
            case kind::space: ++at_; continue;
            case kind::letter: return read_word();
            case kind::digit:  // 1e5 and 0x1F hold no words
                skip_while([](char each) { return is_letter(each) || is_digit(each); });
                return token::other;
            case kind::quote: return skip_quoted('\'', false) ? token::other : token::unclear;
            case kind::double_quote: return skip_quoted('"', true) ? token::quoted_name : token::unclear;
            case kind::dollar: return skip_dollar() ? token::other : token::unclear;
            case kind::open: ++at_; return token::open;
            case kind::dot: ++at_; return token::dot;
            case kind::other: return *at_++ == ';' ? token::semicolon : token::other;
            case kind::dash:
                if (!sees('-', '-')) {
                    ++at_;
                    return token::other;
                }
                skip_while([](char c) { return c != '\n' && c != '\r'; });
                continue;
            case kind::slash:
                if (!sees('/', '*')) {
                    ++at_;
                    return token::other;
                }
                if (!skip_comment()) {
                    return token::unclear;
                }
                continue;
            }
        }
    }

    /// Of the latest `token::word`, as it is written.
    [[nodiscard]] std::string_view word() const noexcept { return word_; }

private:
    template <typename Test>
    void skip_while(Test wanted) noexcept {
        const char* at = at_;
        while (at != end_ && wanted(*at)) {
            ++at;
        }
        at_ = at;
    }

    [[nodiscard]] bool sees(char first, char second) const noexcept {
        return end_ - at_ >= 2 && at_[0] == first && at_[1] == second;
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
        const char* const begin = at_;
        skip_while([](char c) { return folded[static_cast<unsigned char>(c)] != 0; });
        word_ = {begin, static_cast<std::size_t>(at_ - begin)};
        if (at_ != end_ && *at_ == '\'' && word_.size() == 1) {  // E'…', B'…', N'…', X'…'
            if (!is(word_, "e"sv)) {
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
    std::string_view word_;
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
    return is(word, "set"sv)       ? verb::set
           : is(word, "declare"sv) ? verb::declare
           : is(word, "explain"sv) ? verb::explain
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
    bool own = false;         // and that function may be one of PostgreSQL's own
    bool qualified = false;   // the latest token was a dot
    bool in_catalog = false;  // the latest word was pg_catalog
};

/// Whether a word says by itself, wherever it stands, that something stays.
bool word_leaves_state(verb in, std::string_view word, const context& before) noexcept {
    if (is(word, "pg_temp"sv)) {
        return true;
    }
    switch (in) {
    case verb::declare:
        if (is(word, "hold"sv)) {
            return true;
        }
        break;
    case verb::explain:
        if (is(word, "create"sv) || is(word, "declare"sv) || is(word, "execute"sv)) {
            return true;
        }
        break;
    case verb::plain:
    case verb::set: break;
    }
    return before.name == context::naming::awaited &&
           (is(word, "temp"sv) || is(word, "temporary"sv) || is(word, "local"sv) || is(word, "global"sv));
}

void take_word(context& of, std::string_view word) noexcept {
    using enum context::naming;
    const bool starts_name = !of.qualified && (is(word, "into"sv) || is(word, "as"sv));
    if (starts_name || (of.name == awaited && is(word, "recursive"sv))) {
        of.name = awaited;
        of.callable = false;
    } else if (of.name == awaited) {
        of.name = done;
        of.callable = false;
    } else {
        of.name = no;
        of.callable = true;
        of.own = !of.qualified || of.in_catalog;
    }
    of.in_catalog = !of.qualified && is(word, "pg_catalog"sv);
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
            if (so_far.callable && !(so_far.own && is_harmless_function(lowered{in.word()}.view()))) {
                return true;
            }
            so_far = {};
            break;
        case token::dot:
            so_far.qualified = true;
            so_far.callable = false;
            so_far.name = so_far.name == done ? awaited : no;
            break;
        case token::semicolon:
        case token::other: so_far = {}; break;
        case token::quoted_name:
            so_far.callable = so_far.name != awaited;
            so_far.own = so_far.qualified = so_far.in_catalog = false;
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
    if (first == token::end || (first == token::semicolon && in.next() == token::end)) {  // nothing, or that alone
        return false;
    }
    if (first != token::word || !std::ranges::binary_search(harmless_verbs, lowered{in.word()}.view())) {
        return true;
    }
    const auto what = verb_of(in.word());
    context start;
    if (is(in.word(), "with"sv) || is(in.word(), "prepare"sv)) {
        start.name = context::naming::awaited;
    }
    if (what == verb::set) {  // what ends with the transaction
        return in.next() != token::word ||
               (!is(in.word(), "local"sv) && !is(in.word(), "transaction"sv) && !is(in.word(), "constraints"sv));
    }
    return rest_leaves_state(in, what, start);
}

bool is_copy(std::string_view sql) noexcept {
    scanner in{sql};
    return find_verb(in) == token::word && is(in.word(), "copy"sv);
}

bool is_single(std::string_view sql) noexcept {
    scanner in{sql};
    bool ended = false;
    for (auto got = in.next(); got != token::end && got != token::unclear; got = in.next()) {
        if (ended && got != token::semicolon) {
            return false;
        }
        ended = ended || got == token::semicolon;
    }
    return true;
}

bool is_preparable(std::string_view sql) noexcept {
    scanner in{sql};
    if (find_verb(in) != token::word) {
        return false;
    }
    return std::ranges::any_of(
        std::array{"select"sv, "insert"sv, "update"sv, "delete"sv, "merge"sv, "with"sv, "values"sv, "table"sv},
        [&](auto verb) { return is(in.word(), verb); });
}

bool forgets_prepared(std::string_view sql) noexcept {
    scanner in{sql};
    if (find_verb(in) != token::word || !(is(in.word(), "deallocate"sv) || is(in.word(), "discard"sv))) {
        return false;
    }
    auto next = in.next();
    if (next == token::word && is(in.word(), "prepare"sv)) {
        next = in.next();
    }
    return next == token::word && is(in.word(), "all"sv);
}

}  // namespace trunkline::pg
