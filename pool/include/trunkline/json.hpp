#pragma once

#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

/// `boost::json::value` as PostgreSQL's jsonb, and from json and jsonb. A program that includes this links Boost.JSON.
namespace trunkline {

namespace detail {

/// Whether a test holds of all strings (keys too) and numbers in there.
template <typename Test>
bool holds_of_all(const boost::json::value& all, Test test) {
    if (const auto* const list = all.if_array()) {
        return std::all_of(list->begin(), list->end(), [&](const auto& one) { return holds_of_all(one, test); });
    }
    if (const auto* const object = all.if_object()) {
        return std::all_of(object->begin(), object->end(), [&](const auto& one) {
            return test(std::string_view{one.key().data(), one.key().size()}) && holds_of_all(one.value(), test);
        });
    }
    if (const auto* const text = all.if_string()) {
        return test(std::string_view{text->data(), text->size()});
    }
    const auto* const number = all.if_double();
    return number == nullptr || test(*number);
}

/// JSON, and PostgreSQL's numbers in it, know neither infinities nor NaN; Boost.JSON has them.
struct has_finite_numbers {
    bool operator()(double number) const noexcept { return std::isfinite(number); }
    bool operator()(std::string_view) const noexcept { return true; }
};
/// PostgreSQL's jsonb has no text with a NUL.
struct has_no_nul {
    bool operator()(double) const noexcept { return true; }
    bool operator()(std::string_view text) const noexcept { return text.find('\0') == std::string_view::npos; }
};

/// 1,000 levels deep at most. Doubles as they were sent, where Boost.JSON can: before Boost 1.83 the last bit may differ.
template <typename Options = boost::json::parse_options>
Options json_options() noexcept {
    Options all;
    all.max_depth = 1'000;
    if constexpr (requires { all.numbers; }) {
        all.numbers = decltype(all.numbers)::precise;
    }
    return all;
}

}  // namespace detail

/// jsonb; a column of type json takes it too. Infinities and NaN are an `error` (`invalid_value`), and so is text with a NUL
/// (`invalid_text`).
template <>
struct parameter_traits<boost::json::value> {
    static constexpr std::uint32_t oid = detail::oid::jsonb;
    static void encode(parameters& to, const boost::json::value& value) {
        if (!detail::holds_of_all(value, detail::has_finite_numbers{})) {
            throw error{pool_errc::invalid_value, to.next_name() + " is JSON with a number that is NaN or infinite"};
        }
        if (!detail::holds_of_all(value, detail::has_no_nul{})) {
            throw error{pool_errc::invalid_text, to.next_name() + " is JSON with a NUL in a text"};
        }
        const std::string text = '\1' + boost::json::serialize(value);  // behind the format's version
        to.add_binary(oid, std::as_bytes(std::span{text.data(), text.size()}));
    }
};

/// json or jsonb, or a text that is JSON, of up to 1,000 levels. A number that neither 64 bits nor a double hold is rounded
/// to a double, and is an `error` (`value_out_of_range`) if that would be infinite.
template <>
struct field_traits<boost::json::value> {
    static boost::json::value decode(const field& from) {
        boost::system::error_code wrong;
        auto value = boost::json::parse(detail::decode_text(from), wrong, {}, detail::json_options());
        if (wrong) {
            detail::throw_no_json(from, wrong.message());
        }
        if (!detail::holds_of_all(value, detail::has_finite_numbers{})) {
            detail::throw_number_out_of_range(from);
        }
        return value;
    }
};

}  // namespace trunkline
