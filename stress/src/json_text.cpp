#include "json_text.hpp"

#include <boost/json/serialize.hpp>

#include <array>
#include <charconv>

namespace trunkline::stress {

namespace json = boost::json;

namespace {

void append(std::string& to, const json::value& value, std::size_t depth);

void append_line(std::string& to, std::size_t depth) { to += '\n' + std::string(2 * depth, ' '); }

void append_number(std::string& to, double value) {
    std::array<char, 400> text{};
    const auto written = std::to_chars(text.begin(), text.end(), value, std::chars_format::fixed, 6);
    std::string_view digits{text.data(), static_cast<std::size_t>(written.ptr - text.data())};
    while (digits.ends_with('0')) {
        digits.remove_suffix(1);
    }
    to += digits;
    to += digits.ends_with('.') ? "0" : "";
}

void append_object(std::string& to, const json::object& object, std::size_t depth) {
    to += '{';
    bool first = true;
    for (const auto& [key, member] : object) {
        to += first ? "" : ",";
        first = false;
        append_line(to, depth + 1);
        to += json::serialize(json::string_view{key}) + ": ";
        append(to, member, depth + 1);
    }
    if (!first) {
        append_line(to, depth);
    }
    to += '}';
}

void append_array(std::string& to, const json::array& array, std::size_t depth) {
    to += '[';
    bool first = true;
    for (const auto& element : array) {
        to += first ? "" : ",";
        first = false;
        append_line(to, depth + 1);
        append(to, element, depth + 1);
    }
    if (!first) {
        append_line(to, depth);
    }
    to += ']';
}

void append(std::string& to, const json::value& value, std::size_t depth) {
    if (const auto* object = value.if_object()) {
        append_object(to, *object, depth);
    } else if (const auto* array = value.if_array()) {
        append_array(to, *array, depth);
    } else if (const auto* number = value.if_double()) {
        append_number(to, *number);
    } else {
        to += json::serialize(value);
    }
}

}  // namespace

std::string to_text(const json::value& value) {
    std::string text;
    append(text, value, 0);
    return text + '\n';
}

}  // namespace trunkline::stress
