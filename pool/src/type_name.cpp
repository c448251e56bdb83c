#include "type_name.hpp"

#include <algorithm>
#include <string_view>

namespace trunkline {

namespace {

struct named {
    std::uint32_t oid;
    std::string_view name;
};

// pg_type.dat; these numbers never change.
constexpr named common[] = {
    {16, "boolean"},
    {17, "bytea"},
    {18, "\"char\""},
    {19, "name"},
    {20, "bigint"},
    {21, "smallint"},
    {23, "integer"},
    {25, "text"},
    {26, "oid"},
    {28, "xid"},
    {114, "json"},
    {142, "xml"},
    {143, "xml[]"},
    {199, "json[]"},
    {600, "point"},
    {650, "cidr"},
    {700, "real"},
    {701, "double precision"},
    {705, "unknown"},
    {790, "money"},
    {869, "inet"},
    {1000, "boolean[]"},
    {1001, "bytea[]"},
    {1002, "\"char\"[]"},
    {1003, "name[]"},
    {1005, "smallint[]"},
    {1007, "integer[]"},
    {1009, "text[]"},
    {1014, "char(n)[]"},
    {1015, "varchar[]"},
    {1016, "bigint[]"},
    {1021, "real[]"},
    {1022, "double precision[]"},
    {1028, "oid[]"},
    {1042, "char(n)"},
    {1043, "varchar"},
    {1082, "date"},
    {1083, "time"},
    {1114, "timestamp"},
    {1115, "timestamp[]"},
    {1182, "date[]"},
    {1183, "time[]"},
    {1184, "timestamptz"},
    {1185, "timestamptz[]"},
    {1186, "interval"},
    {1187, "interval[]"},
    {1231, "numeric[]"},
    {1266, "timetz"},
    {1560, "bit"},
    {1562, "varbit"},
    {1700, "numeric"},
    {2249, "record"},
    {2278, "void"},
    {2950, "uuid"},
    {2951, "uuid[]"},
    {3220, "pg_lsn"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3802, "jsonb"},
    {3807, "jsonb[]"},
    {3904, "int4range"},
    {3926, "int8range"},
    {5069, "xid8"},
};
static_assert(std::ranges::is_sorted(common, {}, &named::oid));

}  // namespace

std::string type_name(std::uint32_t oid) {
    const auto* const found = std::ranges::lower_bound(common, oid, {}, &named::oid);
    if (found != std::end(common) && found->oid == oid) {
        return std::string{found->name};
    }
    return "type " + std::to_string(oid);
}

}  // namespace trunkline
