#pragma once

#include <cstdint>

/// The OIDs of PostgreSQL's built-in types (`pg_type.dat`); they never change.
namespace trunkline::detail::oid {

inline constexpr std::uint32_t boolean = 16, bytea = 17, char_ = 18, name = 19, int8 = 20, int2 = 21, int4 = 23,
                               text = 25, oid_ = 26, json = 114, xml = 142, float4 = 700, float8 = 701, unknown = 705,
                               bpchar = 1042, varchar = 1043, date = 1082, time = 1083, timestamp = 1114,
                               timestamptz = 1184, interval = 1186, numeric = 1700, refcursor = 1790, cstring = 2275,
                               void_ = 2278, uuid = 2950, jsonb = 3802;

/// Each with the type of its arrays.
inline constexpr std::uint32_t with_arrays[][2] = {
    {boolean, 1000}, {bytea, 1001},     {char_, 1002},   {name, 1003}, {int2, 1005},        {int4, 1007},
    {text, 1009},    {bpchar, 1014},    {varchar, 1015}, {int8, 1016}, {float4, 1021},      {float8, 1022},
    {oid_, 1028},    {timestamp, 1115}, {date, 1182},    {time, 1183}, {timestamptz, 1185}, {interval, 1187},
    {numeric, 1231}, {json, 199},       {xml, 143},      {uuid, 2951}, {jsonb, 3807}};

/// 0 if it is none of these: then the server infers it.
constexpr std::uint32_t array_of(std::uint32_t element) noexcept {
    for (const auto& one : with_arrays) {
        if (one[0] == element) {
            return one[1];
        }
    }
    return 0;
}

constexpr bool is_array(std::uint32_t type) noexcept {
    for (const auto& one : with_arrays) {
        if (one[1] == type) {
            return true;
        }
    }
    return false;
}

}  // namespace trunkline::detail::oid
