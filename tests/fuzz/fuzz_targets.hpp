#pragma once

#include "pg/connect_failure_text.hpp"
#include "pg/conninfo.hpp"
#include "pg/masked_text.hpp"
#include "pg/statement_class.hpp"

#include <trunkline/error.hpp>
#include <trunkline/json.hpp>
#include <trunkline/result.hpp>
#include <trunkline/uuid.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

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
void decode_as(const field& from) {
    try {
        (void)field_traits<T>::decode(from);
    } catch (const error&) {
        // Refused.
    }
}

/// Reads one value as each of these types. The first four bytes are its type's OID, the others the value.
template <typename... Ts>
void decode_as_each(std::string_view input) {
    constexpr std::size_t head = 4;
    std::uint32_t type = 0;
    for (const char one : input.substr(0, head)) {
        type = type << 8 | static_cast<unsigned char>(one);
    }
    const auto value = input.substr(std::min(input.size(), head));
    const field from{"v", type, std::as_bytes(std::span{value.data(), value.size()})};
    (decode_as<Ts>(from), ...);
}

inline void decode(std::string_view input) {
    decode_as_each<bool, std::int16_t, std::int32_t, std::int64_t, std::uint32_t, float, double, std::string,
                   std::vector<std::byte>, boost::uuids::uuid>(input);
}

inline void decode_time(std::string_view input) {
    using std::chrono::microseconds;
    decode_as_each<std::chrono::system_clock::time_point, std::chrono::sys_time<microseconds>,
                   std::chrono::local_time<microseconds>, std::chrono::sys_days, std::chrono::year_month_day,
                   std::chrono::nanoseconds, interval>(input);
}

inline void decode_numeric(std::string_view input) { decode_as_each<numeric>(input); }

inline void decode_array(std::string_view input) {
    decode_as_each<std::vector<std::int32_t>, std::vector<std::optional<std::string>>,
                   std::vector<std::vector<numeric>>, std::vector<std::vector<std::vector<bool>>>>(input);
}

inline void decode_json(std::string_view input) { decode_as_each<boost::json::value>(input); }

struct target {
    const char* name;
    void (*run)(std::string_view);
};
inline constexpr target targets[]{{"connect_failure", connect_failure},
                                  {"statement_class", statement_class},
                                  {"masked_text", masked_text},
                                  {"conninfo", conninfo},
                                  {"decode", decode},
                                  {"decode_time", decode_time},
                                  {"decode_numeric", decode_numeric},
                                  {"decode_array", decode_array},
                                  {"decode_json", decode_json}};

/// `input` in a block of its own.
inline void run(const target& which, std::string_view input) {
    const std::unique_ptr<char[]> block{new char[input.size()]};
    std::ranges::copy(input, block.get());
    which.run({block.get(), input.size()});
}

}  // namespace trunkline::test::fuzz
