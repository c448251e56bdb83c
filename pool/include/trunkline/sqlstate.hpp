#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#include <array>
#include <string>
#include <string_view>
#include <type_traits>

namespace trunkline {

/// A SQLSTATE as a number: its five characters read in base 36, so that each code has one value and "00000" is 0.
constexpr int sqlstate_value(std::string_view code) noexcept {
    if (code.size() != 5) {
        return -1;
    }
    int value = 0;
    for (const char c : code) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 36 + digit;
    }
    return value;
}

/// The server's error codes. Every code that a server sends can be held, named here or not; see PostgreSQL's
/// manual, appendix "PostgreSQL Error Codes". Named are those that programs decide by.
enum class sqlstate : int {
    unique_violation = sqlstate_value("23505"),            ///< the row is there already; not worth a retry
    foreign_key_violation = sqlstate_value("23503"),       ///< what the row refers to is missing
    not_null_violation = sqlstate_value("23502"),          ///< a column has no value
    check_violation = sqlstate_value("23514"),             ///< a check constraint refuses the row
    serialization_failure = sqlstate_value("40001"),       ///< run the whole transaction again
    deadlock_detected = sqlstate_value("40P01"),           ///< run the whole transaction again
    read_only_transaction = sqlstate_value("25006"),       ///< a write on a standby, or in a read-only transaction
    invalid_sql_statement_name = sqlstate_value("26000"),  ///< no prepared statement of that name
    syntax_error = sqlstate_value("42601"),                ///< mend the statement
    undefined_table = sqlstate_value("42P01"),             ///< no such table, or not on the search path
    undefined_column = sqlstate_value("42703"),            ///< no such column
    insufficient_privilege = sqlstate_value("42501"),      ///< ask for the right
    invalid_authorization = sqlstate_value("28000"),       ///< the server lets this user not in from here
    invalid_password = sqlstate_value("28P01"),            ///< mend the password
    invalid_catalog_name = sqlstate_value("3D000"),        ///< no such database
    too_many_connections = sqlstate_value("53300"),        ///< the server is full
    query_canceled = sqlstate_value("57014"),              ///< cancelled, or over the server's statement_timeout
    admin_shutdown = sqlstate_value("57P01"),              ///< the server is stopped, or somebody ended this session
    crash_shutdown = sqlstate_value("57P02"),              ///< the server crashed and recovers
    cannot_connect_now = sqlstate_value("57P03"),          ///< the server starts up or shuts down
    idle_session_timeout = sqlstate_value("57P05"),        ///< the server's idle_session_timeout ended the session
};

/// The category of the server's errors. Their conditions (`errc`) say what to do.
const boost::system::error_category& sqlstate_category() noexcept;

/// The five characters of a code.
std::string to_string(sqlstate code);

inline boost::system::error_code make_error_code(sqlstate code) noexcept {
    return {static_cast<int>(code), sqlstate_category()};
}

}  // namespace trunkline

template <>
struct boost::system::is_error_code_enum<trunkline::sqlstate> : std::true_type {};
