#include "decoding.hpp"
#include "type_name.hpp"

#include <bit>
#include <string_view>

namespace trunkline::detail {

void fail(pool_errc why, const field& from, const std::string& problem) {
    const auto type = type_name(from.type());
    std::string words = from.is_element() ? "an element (" + type + ") of column \"" : "column \"";
    words += from.column();
    words += from.is_element() ? "\" " : "\" of type " + type + " ";
    words += problem;
    if (!from.statement().empty()) {
        words += "; the statement: ";
        words += from.statement();
    }
    throw error{why, words};
}

void wrong_type(const field& from, const char* wanted) {
    fail(pool_errc::wrong_type, from,
         std::string{"cannot be read as "} + wanted + "; cast it in the statement, or ask for what fits");
}

void malformed(const field& from) {
    fail(pool_errc::wrong_type, from, "has " + std::to_string(from.bytes().size()) + " bytes that are no value of it");
}

namespace {

// The first OID that a user's own type can have (FirstNormalObjectId).
constexpr std::uint32_t first_user_type = 16'384;

bool is_text(std::uint32_t type) {
    switch (type) {
    case oid::char_:
    case oid::name:
    case oid::text:
    case oid::json:
    case oid::xml:
    case oid::unknown:
    case oid::bpchar:
    case oid::varchar:
    case oid::refcursor:
    case oid::cstring:
    case oid::void_: return true;
    default: return false;
    }
}

}  // namespace

void throw_unexpected_null(const field& from, const std::string& wanted) {
    fail(pool_errc::unexpected_null, from, "is NULL, and " + wanted + " was asked for; ask for a std::optional of it");
}

bool decode_bool(const field& from) {
    if (from.type() != oid::boolean) {
        wrong_type(from, "a bool");
    }
    return big_endian<std::uint8_t>(from) != 0;
}

std::int64_t decode_integer(const field& from, std::int64_t lowest, std::int64_t highest) {
    std::int64_t value = 0;
    switch (from.type()) {
    case oid::int2: value = static_cast<std::int16_t>(big_endian<std::uint16_t>(from)); break;
    case oid::int4: value = static_cast<std::int32_t>(big_endian<std::uint32_t>(from)); break;
    case oid::int8: value = static_cast<std::int64_t>(big_endian<std::uint64_t>(from)); break;
    case oid::oid_: value = big_endian<std::uint32_t>(from); break;
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
    if (from.type() != oid::float4) {
        wrong_type(from, "a float");
    }
    return std::bit_cast<float>(big_endian<std::uint32_t>(from));
}

double decode_double(const field& from) {
    switch (from.type()) {
    case oid::float4: return std::bit_cast<float>(big_endian<std::uint32_t>(from));
    case oid::float8: return std::bit_cast<double>(big_endian<std::uint64_t>(from));
    default: wrong_type(from, "a double");
    }
}

std::string_view decode_text(const field& from) {
    const std::string_view value{reinterpret_cast<const char*>(from.bytes().data()), from.bytes().size()};
    if (is_text(from.type())) {
        return value;
    }
    if (from.type() == oid::jsonb) {
        if (value.empty() || value.front() != '\1') {
            fail(pool_errc::wrong_type, from, "has a version that is not known");
        }
        return value.substr(1);
    }
    // A user's enum is text in the binary format too, and so are many extensions' types. An array or a composite is not,
    // and begins with a count whose first byte is 0, which no text holds; others (ltree) begin with a version.
    if (from.type() >= first_user_type && value.find('\0') == std::string_view::npos && !value.starts_with('\1')) {
        return value;
    }
    wrong_type(from, "text");
}

std::span<const std::byte> decode_bytes(const field& from) { return from.bytes(); }

std::span<const std::byte> decode_uuid(const field& from) {
    if (from.type() != oid::uuid) {
        wrong_type(from, "a uuid");
    }
    if (from.bytes().size() != 16) {
        malformed(from);
    }
    return from.bytes();
}

void throw_no_json(const field& from, const std::string& why) {
    fail(pool_errc::wrong_type, from, "is no JSON: " + why);
}

void throw_number_out_of_range(const field& from) {
    fail(pool_errc::value_out_of_range, from, "holds a number that a double cannot hold");
}

}  // namespace trunkline::detail
