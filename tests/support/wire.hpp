#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// PostgreSQL's protocol 3.0 as bytes, as far as `scripted_server` speaks it.
namespace trunkline::test::wire {

/// What an ErrorResponse or a NoticeResponse says.
struct report {
    std::string severity = "ERROR";
    std::string sqlstate = "XX000";
    std::string message = "scripted";
};

/// Where a session stands, as ReadyForQuery tells.
enum class transaction : char {
    none = 'I',
    open = 'T',
    failed = 'E',
};

/// The types whose binary form is known here; all others are sent as they are written.
enum class type : std::uint32_t {
    boolean = 16,
    int8 = 20,
    int4 = 23,
    text = 25,
};

using cell = std::optional<std::string>;  ///< in its text form; nothing: NULL
using row = std::vector<cell>;

/// A message's kind and its body, the length in between left out.
struct message {
    char kind = 0;
    std::string_view body;
};

/// What a server sends.
std::string authentication_ok();
std::string parameter_status(std::string_view name, std::string_view value);
std::string backend_key(std::int32_t pid, std::int32_t key);
std::string ready(transaction state);
std::string error_response(const report& says);
std::string notice_response(const report& says);
std::string row_description(std::size_t columns, type of, bool binary);
std::string data_row(const row& values, type of, bool binary);
std::string command_complete(std::string_view tag);
/// A message without a body: ParseComplete `1`, BindComplete `2`, CloseComplete `3`, NoData `n`, EmptyQuery `I`.
std::string bare(char kind);
/// ParameterDescription of a statement whose parameters are not told.
std::string no_parameters();

/// The first whole message of `from`, which is cut off there; nothing if it is not whole yet. The body lives as long as
/// what `from` looked at.
std::optional<message> take_message(std::string_view& from);
/// The same for what begins a connection, which has no kind.
std::optional<std::string_view> take_startup(std::string_view& from);

/// Reads from a message's body, and cuts off what it has read. Throws `std::runtime_error` if too little is there.
std::int32_t take_int4(std::string_view& from);
std::int16_t take_int2(std::string_view& from);
std::string take_text(std::string_view& from);
/// `length` bytes, or NULL for -1.
cell take_value(std::string_view& from);

}  // namespace trunkline::test::wire
