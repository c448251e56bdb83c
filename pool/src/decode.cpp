#include "type_name.hpp"

#include <trunkline/result.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace trunkline::detail {

namespace {

// The first OID that a user's own type can have (FirstNormalObjectId).
constexpr std::uint32_t first_user_type = 16'384;

enum known : std::uint32_t {
    boolean = 16,
    char_ = 18,
    name = 19,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    text = 25,
    oid = 26,
    json = 114,
    xml = 142,
    float4 = 700,
    float8 = 701,
    unknown = 705,
    bpchar = 1042,
    varchar = 1043,
    timestamp = 1114,
    timestamptz = 1184,
    refcursor = 1790,
    cstring = 2275,
    void_ = 2278,
    jsonb = 3802
};

[[noreturn]] void fail(pool_errc why, const field& from, const std::string& problem) {
    throw error{why, "column \"" + std::string{from.column()} + "\" of type " + type_name(from.type()) + " " + problem};
}

[[noreturn]] void wrong_type(const field& from, const char* wanted) {
    fail(pool_errc::wrong_type, from,
         std::string{"cannot be read as "} + wanted + "; cast it in the statement, or ask for what fits");
}

void require_length(const field& from, std::size_t length) {
    if (from.bytes().size() != length) {
        fail(pool_errc::wrong_type, from,
             "has " + std::to_string(from.bytes().size()) + " bytes and not " + std::to_string(length));
    }
}

template <typename Unsigned>
Unsigned big_endian(const field& from) {
    require_length(from, sizeof(Unsigned));
    Unsigned value = 0;
    for (const std::byte b : from.bytes()) {
        value = static_cast<Unsigned>((value << 8) | static_cast<Unsigned>(b));
    }
    return value;
}

bool is_text(std::uint32_t type) {
    switch (type) {
    case char_:
    case name:
    case text:
    case json:
    case xml:
    case unknown:
    case bpchar:
    case varchar:
    case refcursor:
    case cstring:
    case void_: return true;
    default: return false;
    }
}

}  // namespace

void throw_unexpected_null(const field& from) {
    fail(pool_errc::unexpected_null, from, "is NULL; ask for a std::optional");
}

bool decode_bool(const field& from) {
    if (from.type() != boolean) {
        wrong_type(from, "a bool");
    }
    require_length(from, 1);
    return from.bytes()[0] != std::byte{0};
}

std::int64_t decode_integer(const field& from, std::int64_t lowest, std::int64_t highest) {
    std::int64_t value = 0;
    switch (from.type()) {
    case int2: value = static_cast<std::int16_t>(big_endian<std::uint16_t>(from)); break;
    case int4: value = static_cast<std::int32_t>(big_endian<std::uint32_t>(from)); break;
    case int8: value = static_cast<std::int64_t>(big_endian<std::uint64_t>(from)); break;
    case oid: value = big_endian<std::uint32_t>(from); break;
    default: wrong_type(from, "an integer");
    }
    if (value < lowest || value > highest) {
        fail(pool_errc::value_out_of_range, from,
             "holds " + std::to_string(value) + ", and the integer asked for takes " + std::to_string(lowest) + " to " +
                 std::to_string(highest));
    }
    return value;
}

float decode_float(const field& from) {
    if (from.type() != float4) {
        wrong_type(from, "a float");
    }
    return std::bit_cast<float>(big_endian<std::uint32_t>(from));
}

double decode_double(const field& from) {
    switch (from.type()) {
    case float4: return std::bit_cast<float>(big_endian<std::uint32_t>(from));
    case float8: return std::bit_cast<double>(big_endian<std::uint64_t>(from));
    default: wrong_type(from, "a double");
    }
}

std::string_view decode_text(const field& from) {
    const std::string_view value{reinterpret_cast<const char*>(from.bytes().data()), from.bytes().size()};
    if (is_text(from.type())) {
        return value;
    }
    if (from.type() == jsonb) {
        if (value.empty() || value.front() != '\1') {
            fail(pool_errc::wrong_type, from, "has a version that is not known");
        }
        return value.substr(1);
    }
    // A user's enum is text in the binary format too, and so are many extensions' types. An array or a composite is not,
    // and begins with a count whose first byte is 0, which no text holds.
    if (from.type() >= first_user_type && value.find('\0') == std::string_view::npos) {
        return value;
    }
    wrong_type(from, "text");
}

std::span<const std::byte> decode_bytes(const field& from) { return from.bytes(); }

std::chrono::system_clock::time_point decode_time(const field& from) {
    using std::chrono::microseconds;
    using std::chrono::system_clock;
    if (from.type() != timestamptz && from.type() != timestamp) {
        wrong_type(from, "a time point");
    }
    constexpr microseconds epoch_2000{
        946'684'800'000'000};  // PostgreSQL counts from 2000, the system's clock from 1970
    constexpr auto first =
        std::chrono::ceil<microseconds>(system_clock::time_point::min().time_since_epoch()) - epoch_2000;
    constexpr auto last =
        std::chrono::floor<microseconds>(system_clock::time_point::max().time_since_epoch()) - epoch_2000;
    const microseconds value{static_cast<std::int64_t>(big_endian<std::uint64_t>(from))};
    if (value < first || value > last) {
        fail(pool_errc::value_out_of_range, from, "holds a time (maybe infinity) that the system's clock cannot hold");
    }
    return system_clock::time_point{std::chrono::duration_cast<system_clock::duration>(value + epoch_2000)};
}

}  // namespace trunkline::detail
