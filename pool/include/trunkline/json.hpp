#pragma once

#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>
#include <string>

/// `boost::json::value` as PostgreSQL's jsonb, and from json and jsonb. A program that includes this links Boost.JSON.
namespace trunkline {

namespace detail {

/// JSON, and PostgreSQL's numbers in it, know neither infinities nor NaN; Boost.JSON has them.
inline bool is_finite(const boost::json::value& all) noexcept {
    if (const auto* const list = all.if_array()) {
        return std::all_of(list->begin(), list->end(), [](const auto& one) { return is_finite(one); });
    }
    if (const auto* const object = all.if_object()) {
        return std::all_of(object->begin(), object->end(), [](const auto& one) { return is_finite(one.value()); });
    }
    const auto* const number = all.if_double();
    return number == nullptr || std::isfinite(*number);
}

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

/// jsonb; a column of type json takes it too. Infinities and NaN are an `error` (`invalid_value`).
template <>
struct parameter_traits<boost::json::value> {
    static constexpr std::uint32_t oid = detail::oid::jsonb;
    static void encode(parameters& to, const boost::json::value& value) {
        if (!detail::is_finite(value)) {
            throw error{pool_errc::invalid_value, to.next_name() + " is JSON with a number that is NaN or infinite"};
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
        if (!detail::is_finite(value)) {
            detail::throw_number_out_of_range(from);
        }
        return value;
    }
};

}  // namespace trunkline
