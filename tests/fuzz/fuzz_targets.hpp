#pragma once

#include "pg/connect_failure_text.hpp"
#include "pg/conninfo.hpp"
#include "pg/masked_text.hpp"
#include "pg/statement_class.hpp"

#include <trunkline/error.hpp>
#include <trunkline/result.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

/// SA-9: what reads text and bytes from outside, each with what must hold whatever they are. Each takes a block of exactly
/// the input's size, so that a sanitizer sees the first byte read beyond it, and throws `std::logic_error` if it fails.
namespace trunkline::test::fuzz {

inline void demand(bool holds, const char* what) {
    if (!holds) {
        throw std::logic_error{what};
    }
}

inline void connect_failure(std::string_view text) {
    const auto said = pg::read_connect_failure(text);
    demand(said.sqlstate.empty() || said.sqlstate.size() == 5, "a SQLSTATE has five characters");
    demand(said.message.size() <= text.size() + 64, "the message holds what was said");
}

inline void statement_class(std::string_view sql) {
    const bool leaves = pg::may_leave_state(sql);
    const bool copies = pg::is_copy(sql);
    const std::string indented = " \n" + std::string{sql};
    demand(pg::is_copy(indented) == copies, "white space in front makes no difference to COPY");
    demand(pg::may_leave_state(indented) == leaves, "white space in front makes no difference");
}

inline void masked_text(std::string_view both) {
    const auto middle = both.size() / 2;
    const auto masked = pg::masked_text(both.substr(middle), both.substr(0, middle));
    demand(masked.find('\n') == std::string::npos, "it is one line");
}

/// libpq and we take the same strings, and read the same values.
inline void conninfo(std::string_view text) {
    if (text.find('\0') != std::string_view::npos || text.find("service") != std::string_view::npos) {
        return;  // no string of libpq's; and a service file is another input
    }
    connect_settings settings;
    settings.url = text;
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> theirs{
        PQconninfoParse(settings.url.c_str(), nullptr), PQconninfoFree};
    pg::conninfo ours;
    try {
        ours = pg::parse_conninfo(settings);
    } catch (const settings_error& refused) {
        const std::string_view why = refused.what();
        const bool stricter = why.find("ports") != std::string_view::npos ||
                              why.find("a port") != std::string_view::npos ||
                              why.find("hostaddr") != std::string_view::npos;
        demand(theirs == nullptr || stricter, "libpq takes what we refuse");
        return;
    }
    demand(theirs != nullptr, "libpq refuses what we take");
    demand(!ours.hosts.empty(), "there is a host");
    for (const auto* one = theirs.get(); one->keyword != nullptr; ++one) {
        const std::string_view keyword = one->keyword;
        const bool elsewhere =
            keyword == "host" || keyword == "hostaddr" || keyword == "port" || keyword == "client_encoding";
        if (elsewhere || one->val == nullptr || *one->val == '\0') {
            continue;
        }
        const auto mine = std::ranges::find(ours.options, keyword, &pg::conninfo::option::keyword);
        demand(mine != ours.options.end() && mine->value == one->val, "a value that libpq reads in another way");
    }
}

template <typename T>
void decode_as(const row& from) {
    try {
        (void)from.get<T>(0);
    } catch (const error&) {
        // Refused.
    }
}

/// The first four bytes are a type's OID, the others a value of it.
inline void decode(std::string_view input) {
    Oid type = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(input.size(), 4); ++i) {
        type = type << 8 | static_cast<unsigned char>(input[i]);
    }
    std::string value{input.substr(std::min<std::size_t>(input.size(), 4))};
    PGresult* const data = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    char name[] = "v";
    PGresAttDesc column{name, 0, 0, 1, type, -1, -1};
    PQsetResultAttrs(data, 1, &column);
    PQsetvalue(data, 0, 0, value.data(), static_cast<int>(value.size()));
    const result rows{data};
    const auto from = rows[0];
    decode_as<bool>(from);
    decode_as<std::int16_t>(from);
    decode_as<std::int32_t>(from);
    decode_as<std::int64_t>(from);
    decode_as<std::uint32_t>(from);
    decode_as<float>(from);
    decode_as<double>(from);
    decode_as<std::string>(from);
    decode_as<std::chrono::system_clock::time_point>(from);
}

struct target {
    const char* name;
    void (*run)(std::string_view);
};
inline constexpr target targets[]{{"connect_failure", connect_failure},
                                  {"statement_class", statement_class},
                                  {"masked_text", masked_text},
                                  {"conninfo", conninfo},
                                  {"decode", decode}};

/// `input` in a block of its own.
inline void run(const target& which, std::string_view input) {
    const std::unique_ptr<char[]> block{new char[input.size()]};
    std::ranges::copy(input, block.get());
    which.run({block.get(), input.size()});
}

}  // namespace trunkline::test::fuzz
