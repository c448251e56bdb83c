#include "statement_class.hpp"

#include <algorithm>
#include <array>

namespace trunkline::pg {

namespace {

using namespace std::string_view_literals;

// Left out on purpose, among many: set_config, nextval, setval, currval, lastval, the advisory locks, lo_*, dblink*,
// query_to_xml and everything else that runs a text, pg_notify's kin that subscribe, and what the server's
// administration needs.
constexpr auto harmless_names = [] {
    // Not `std::array names{…}`: clang 14 deduces its type by a fold expression that is too deep for it.
    auto names = std::to_array(
        {// Words of the grammar that stand in front of a parenthesis.
         "all"sv, "and"sv, "any"sv, "array"sv, "as"sv, "between"sv, "by"sv, "case"sv, "conflict"sv, "cube"sv,
         "distinct"sv, "else"sv, "except"sv, "exists"sv, "explain"sv, "filter"sv, "from"sv, "group"sv, "having"sv,
         "ilike"sv, "in"sv, "intersect"sv, "is"sv, "join"sv, "lateral"sv, "like"sv, "limit"sv, "materialized"sv,
         "not"sv, "offset"sv, "on"sv, "only"sv, "or"sv, "order"sv, "over"sv, "returning"sv, "rollup"sv, "row"sv,
         "select"sv, "set"sv, "sets"sv, "some"sv, "then"sv, "union"sv, "using"sv, "values"sv, "when"sv, "where"sv,
         "with"sv,
         // Types with a length.
         "bit"sv, "bpchar"sv, "char"sv, "character"sv, "decimal"sv, "float"sv, "interval"sv, "numeric"sv, "time"sv,
         "timestamp"sv, "timestamptz"sv, "varbit"sv, "varchar"sv, "varying"sv,
         // Aggregates and window functions.
         "array_agg"sv, "avg"sv, "bit_and"sv, "bit_or"sv, "bit_xor"sv, "bool_and"sv, "bool_or"sv, "corr"sv, "count"sv,
         "covar_pop"sv, "covar_samp"sv, "cume_dist"sv, "dense_rank"sv, "every"sv, "first_value"sv, "json_agg"sv,
         "json_object_agg"sv, "jsonb_agg"sv, "jsonb_object_agg"sv, "lag"sv, "last_value"sv, "lead"sv, "max"sv, "min"sv,
         "mode"sv, "nth_value"sv, "ntile"sv, "percent_rank"sv, "percentile_cont"sv, "percentile_disc"sv, "rank"sv,
         "row_number"sv, "stddev"sv, "stddev_pop"sv, "stddev_samp"sv, "string_agg"sv, "sum"sv, "var_pop"sv,
         "var_samp"sv, "variance"sv,
         // Conditions and numbers.
         "abs"sv, "cbrt"sv, "ceil"sv, "ceiling"sv, "coalesce"sv, "cos"sv, "degrees"sv, "div"sv, "exp"sv, "floor"sv,
         "gcd"sv, "greatest"sv, "lcm"sv, "least"sv, "ln"sv, "log"sv, "log10"sv, "mod"sv, "nullif"sv, "num_nonnulls"sv,
         "num_nulls"sv, "pi"sv, "power"sv, "radians"sv, "random"sv, "round"sv, "sign"sv, "sin"sv, "sqrt"sv, "tan"sv,
         "trunc"sv, "width_bucket"sv, "cast"sv,
         // Text and bytes.
         "ascii"sv, "bit_length"sv, "btrim"sv, "char_length"sv, "character_length"sv, "chr"sv, "concat"sv,
         "concat_ws"sv, "convert_from"sv, "convert_to"sv, "decode"sv, "encode"sv, "format"sv, "gen_random_uuid"sv,
         "initcap"sv, "left"sv, "length"sv, "lower"sv, "lpad"sv, "ltrim"sv, "md5"sv, "octet_length"sv, "overlay"sv,
         "position"sv, "quote_ident"sv, "quote_literal"sv, "quote_nullable"sv, "regexp_match"sv, "regexp_matches"sv,
         "regexp_replace"sv, "regexp_split_to_array"sv, "regexp_split_to_table"sv, "repeat"sv, "replace"sv, "reverse"sv,
         "right"sv, "rpad"sv, "rtrim"sv, "sha256"sv, "sha512"sv, "split_part"sv, "starts_with"sv, "string_to_array"sv,
         "string_to_table"sv, "strpos"sv, "substr"sv, "substring"sv, "to_hex"sv, "translate"sv, "trim"sv, "upper"sv,
         // Dates.
         "age"sv, "clock_timestamp"sv, "current_time"sv, "current_timestamp"sv, "date"sv, "date_bin"sv, "date_part"sv,
         "date_trunc"sv, "extract"sv, "isfinite"sv, "justify_days"sv, "justify_hours"sv, "justify_interval"sv,
         "localtime"sv, "localtimestamp"sv, "make_date"sv, "make_interval"sv, "make_time"sv, "make_timestamp"sv,
         "make_timestamptz"sv, "now"sv, "overlaps"sv, "statement_timestamp"sv, "timeofday"sv, "timezone"sv, "to_char"sv,
         "to_date"sv, "to_number"sv, "to_timestamp"sv, "transaction_timestamp"sv,
         // JSON, arrays, ranges, sets.
         "array_append"sv, "array_cat"sv, "array_dims"sv, "array_fill"sv, "array_length"sv, "array_lower"sv,
         "array_ndims"sv, "array_position"sv, "array_positions"sv, "array_prepend"sv, "array_remove"sv,
         "array_replace"sv, "array_to_json"sv, "array_to_string"sv, "array_upper"sv, "cardinality"sv,
         "generate_series"sv, "generate_subscripts"sv, "int4range"sv, "int8range"sv, "isempty"sv,
         "json_array_elements"sv, "json_array_elements_text"sv, "json_array_length"sv, "json_build_array"sv,
         "json_build_object"sv, "json_each"sv, "json_each_text"sv, "json_extract_path"sv, "json_extract_path_text"sv,
         "json_object_keys"sv, "json_typeof"sv, "jsonb_array_elements"sv, "jsonb_array_elements_text"sv,
         "jsonb_array_length"sv, "jsonb_build_array"sv, "jsonb_build_object"sv, "jsonb_each"sv, "jsonb_each_text"sv,
         "jsonb_extract_path"sv, "jsonb_extract_path_text"sv, "jsonb_insert"sv, "jsonb_object_keys"sv,
         "jsonb_path_exists"sv, "jsonb_path_query"sv, "jsonb_path_query_array"sv, "jsonb_path_query_first"sv,
         "jsonb_pretty"sv, "jsonb_set"sv, "jsonb_strip_nulls"sv, "jsonb_to_record"sv, "jsonb_to_recordset"sv,
         "jsonb_typeof"sv, "numrange"sv, "row_to_json"sv, "to_json"sv, "to_jsonb"sv, "tsrange"sv, "tstzrange"sv,
         "daterange"sv, "unnest"sv,
         // Full-text search and trigrams.
         "numnode"sv, "phraseto_tsquery"sv, "plainto_tsquery"sv, "querytree"sv, "setweight"sv, "similarity"sv,
         "strip"sv, "to_tsquery"sv, "to_tsvector"sv, "ts_delete"sv, "ts_filter"sv, "ts_headline"sv, "ts_lexize"sv,
         "ts_rank"sv, "ts_rank_cd"sv, "ts_rewrite"sv, "tsquery_phrase"sv, "tsvector_to_array"sv,
         "websearch_to_tsquery"sv, "word_similarity"sv,
         // The server and the session, asked.
         "current_database"sv, "current_schema"sv, "current_schemas"sv, "current_setting"sv, "format_type"sv,
         "has_table_privilege"sv, "inet_client_addr"sv, "inet_server_addr"sv, "obj_description"sv, "pg_backend_pid"sv,
         "pg_column_size"sv, "pg_database_size"sv, "pg_get_expr"sv, "pg_get_indexdef"sv, "pg_is_in_recovery"sv,
         "pg_notify"sv, "pg_relation_size"sv, "pg_size_pretty"sv, "pg_sleep"sv, "pg_table_size"sv,
         "pg_total_relation_size"sv, "pg_typeof"sv, "txid_current"sv, "pg_current_xact_id"sv, "version"sv,
         // Advisory locks that end with the transaction.
         "pg_advisory_xact_lock"sv, "pg_advisory_xact_lock_shared"sv, "pg_try_advisory_xact_lock"sv,
         "pg_try_advisory_xact_lock_shared"sv});
    std::ranges::sort(names);
    return names;
}();

}  // namespace

bool is_harmless_function(std::string_view name) noexcept { return std::ranges::binary_search(harmless_names, name); }

}  // namespace trunkline::pg
