#pragma once

#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>

#include <boost/uuid/uuid.hpp>

#include <algorithm>
#include <cstddef>

/// `boost::uuids::uuid` as PostgreSQL's uuid, both ways.
namespace trunkline {

template <>
struct parameter_traits<boost::uuids::uuid> {
    static constexpr std::uint32_t oid = detail::oid::uuid;
    static void encode(parameters& to, const boost::uuids::uuid& value) {
        std::byte bytes[16];
        std::transform(value.begin(), value.end(), bytes, [](auto b) { return static_cast<std::byte>(b); });
        to.add_binary(oid, bytes);
    }
};

template <>
struct field_traits<boost::uuids::uuid> {
    static boost::uuids::uuid decode(const field& from) {
        const auto bytes = detail::decode_uuid(from);
        boost::uuids::uuid value{};
        std::transform(bytes.begin(), bytes.end(), value.begin(),
                       [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
        return value;
    }
};

}  // namespace trunkline
