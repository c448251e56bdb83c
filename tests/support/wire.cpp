#include "support/wire.hpp"

#include <algorithm>
#include <stdexcept>

namespace trunkline::test::wire {

namespace {

constexpr std::size_t length_size = 4;

template <typename Unsigned>
std::string big_endian(Unsigned value, std::size_t bytes) {
    std::string written;
    for (std::size_t left = bytes; left > 0; --left) {
        written += static_cast<char>((value >> ((left - 1) * 8)) & 0xFFU);
    }
    return written;
}

std::string int4(std::size_t value) { return big_endian(value, 4); }
std::string int2(std::size_t value) { return big_endian(value, 2); }
std::string text(std::string_view value) { return std::string{value} + '\0'; }

std::string framed(char kind, const std::string& body) { return kind + int4(body.size() + length_size) + body; }

std::string fields_of(const report& says) {
    // V, the severity that is never translated, came with 9.6.
    return 'S' + text(says.severity) + 'V' + text(says.severity) + 'C' + text(says.sqlstate) + 'M' +
           text(says.message) + '\0';
}

std::string binary_form(const std::string& value, type of) {
    switch (of) {
    case type::boolean: return {value == "t" ? '\1' : '\0'};
    case type::int8: return big_endian(static_cast<std::uint64_t>(std::stoll(value)), 8);
    case type::int4: return big_endian(static_cast<std::uint32_t>(std::stoi(value)), 4);
    case type::text: break;
    }
    return value;
}

std::uint32_t read_unsigned(std::string_view& from, std::size_t bytes) {
    if (from.size() < bytes) {
        throw std::runtime_error{"a message is shorter than it should be"};
    }
    std::uint32_t value = 0;
    for (const char c : from.substr(0, bytes)) {
        value = value << 8U | static_cast<unsigned char>(c);
    }
    from.remove_prefix(bytes);
    return value;
}

/// The length that stands at the front, itself included.
std::size_t length_of(std::string_view from) {
    const std::size_t length = read_unsigned(from, length_size);
    if (length < length_size) {
        throw std::runtime_error{"a message's length is less than its own size"};
    }
    return length;
}

}  // namespace

std::string authentication_ok() { return framed('R', int4(0)); }

std::string parameter_status(std::string_view name, std::string_view value) {
    return framed('S', text(name) + text(value));
}

std::string backend_key(std::int32_t pid, std::int32_t key) {
    return framed('K', int4(static_cast<std::uint32_t>(pid)) + int4(static_cast<std::uint32_t>(key)));
}

std::string ready(transaction state) { return framed('Z', {static_cast<char>(state)}); }

std::string error_response(const report& says) { return framed('E', fields_of(says)); }

std::string notice_response(const report& says) { return framed('N', fields_of(says)); }

std::string row_description(std::size_t columns, type of, bool binary) {
    std::string body = int2(columns);
    for (std::size_t i = 1; i <= columns; ++i) {
        // Name (not "c" + …: g++ 12 warns falsely of it at -O3), table and column (none), type, size (any), modifier (none),
        // format.
        body += text(std::string{"c"} + std::to_string(i)) + int4(0) + int2(0) + int4(static_cast<std::uint32_t>(of)) +
                int2(0xFFFF) + int4(0xFFFF'FFFF) + int2(binary ? 1 : 0);
    }
    return framed('T', body);
}

std::string data_row(const row& values, type of, bool binary) {
    std::string body = int2(values.size());
    for (const auto& value : values) {
        if (!value) {
            body += int4(0xFFFF'FFFF);
            continue;
        }
        const auto sent = binary ? binary_form(*value, of) : *value;
        body += int4(sent.size()) + sent;
    }
    return framed('D', body);
}

std::string command_complete(std::string_view tag) { return framed('C', text(tag)); }

std::string bare(char kind) { return framed(kind, {}); }

std::string no_parameters() { return framed('t', int2(0)); }

std::optional<message> take_message(std::string_view& from) {
    if (from.size() < 1 + length_size) {
        return std::nullopt;
    }
    const auto length = length_of(from.substr(1));
    if (from.size() < 1 + length) {
        return std::nullopt;
    }
    const message taken{from.front(), from.substr(1 + length_size, length - length_size)};
    from.remove_prefix(1 + length);
    return taken;
}

std::optional<std::string_view> take_startup(std::string_view& from) {
    if (from.size() < length_size) {
        return std::nullopt;
    }
    const auto length = length_of(from);
    if (from.size() < length) {
        return std::nullopt;
    }
    const auto body = from.substr(length_size, length - length_size);
    from.remove_prefix(length);
    return body;
}

std::int32_t take_int4(std::string_view& from) { return static_cast<std::int32_t>(read_unsigned(from, 4)); }

std::int16_t take_int2(std::string_view& from) { return static_cast<std::int16_t>(read_unsigned(from, 2)); }

std::string take_text(std::string_view& from) {
    const auto end = from.find('\0');
    if (end == std::string_view::npos) {
        throw std::runtime_error{"a text in a message has no end"};
    }
    std::string taken{from.substr(0, end)};
    from.remove_prefix(end + 1);
    return taken;
}

cell take_value(std::string_view& from) {
    const auto length = take_int4(from);
    if (length < 0) {
        return std::nullopt;
    }
    const auto size = static_cast<std::size_t>(length);
    if (from.size() < size) {
        throw std::runtime_error{"a value is longer than its message"};
    }
    std::string taken{from.substr(0, size)};
    from.remove_prefix(size);
    return taken;
}

}  // namespace trunkline::test::wire
