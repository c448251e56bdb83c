#include "support/catch.hpp"

#include <trunkline/error.hpp>
#include <trunkline/sqlstate.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <utility>

namespace {

using namespace trunkline;

constexpr errc conditions[] = {errc::retryable, errc::connection_lost, errc::overloaded, errc::login_refused,
                               errc::server_unavailable};

error_code code_of(std::string_view text) { return make_error_code(static_cast<sqlstate>(sqlstate_value(text))); }

std::set<errc> meanings_of(const error_code& code) {
    std::set<errc> found;
    for (const auto c : conditions) {
        if (code == c) {
            found.insert(c);
        }
    }
    return found;
}

}  // namespace

TEST_CASE("a SQLSTATE is read and written back as it was") {
    for (const char* text : {"00000", "00001", "23505", "40P01", "57P05", "ZZZZZ", "XX000", "0Z002"}) {
        CHECK(to_string(static_cast<sqlstate>(sqlstate_value(text))) == text);
    }
}

TEST_CASE("success is 0 and every SQLSTATE has a number of its own") {
    CHECK(sqlstate_value("00000") == 0);
    CHECK_FALSE(make_error_code(static_cast<sqlstate>(0)).failed());
    CHECK(sqlstate_value("00001") == 1);
    CHECK(sqlstate_value("0000Z") == 35);
    CHECK(sqlstate_value("00010") == 36);
    CHECK(sqlstate_value("ZZZZZ") == 36 * 36 * 36 * 36 * 36 - 1);
}

TEST_CASE("what is not five digits and capital letters is no SQLSTATE") {
    for (const char* text : {"", "2350", "235055", "2350a", "23 05", "23-05"}) {
        INFO('"' << text << '"');
        CHECK(sqlstate_value(text) == -1);
    }
}

TEST_CASE("the named codes are PostgreSQL's") {
    CHECK(to_string(sqlstate::unique_violation) == "23505");
    CHECK(to_string(sqlstate::serialization_failure) == "40001");
    CHECK(to_string(sqlstate::deadlock_detected) == "40P01");
    CHECK(to_string(sqlstate::invalid_password) == "28P01");
    CHECK(to_string(sqlstate::too_many_connections) == "53300");
    CHECK(to_string(sqlstate::query_canceled) == "57014");
    CHECK(to_string(sqlstate::cannot_connect_now) == "57P03");
}

TEST_CASE("a SQLSTATE's message carries its characters, named or not") {
    CHECK(make_error_code(sqlstate::unique_violation).message() == "SQLSTATE 23505 (unique violation)");
    CHECK(code_of("XX001").message() == "SQLSTATE XX001");
}

TEST_CASE("each SQLSTATE says what to do about it") {
    const std::pair<const char*, std::set<errc>> rows[] = {
        {"40001", {errc::retryable}},
        {"40P01", {errc::retryable}},
        {"08003", {errc::connection_lost}},
        {"08006", {errc::connection_lost}},
        {"57P01", {errc::connection_lost, errc::server_unavailable}},
        {"57P02", {errc::connection_lost, errc::server_unavailable}},
        {"57P05", {errc::connection_lost}},
        {"57P03", {errc::server_unavailable}},
        {"08001", {errc::server_unavailable}},
        {"53000", {errc::overloaded}},
        {"53300", {errc::overloaded}},
        {"28000", {errc::login_refused}},
        {"28P01", {errc::login_refused}},
        {"3D000", {errc::login_refused}},
        {"40002", {}},
        {"23505", {}},
        {"42601", {}},
        {"57014", {}},
        {"3F000", {}},
        {"25006", {}},
        {"00000", {}},
    };
    for (const auto& [text, expected] : rows) {
        INFO(text);
        CHECK(meanings_of(code_of(text)) == expected);
    }
}

TEST_CASE("the pool's own errors say what to do about them") {
    const std::pair<pool_errc, std::set<errc>> rows[] = {
        {pool_errc::acquire_timeout, {errc::overloaded}},
        {pool_errc::queue_full, {errc::overloaded}},
        {pool_errc::connection_lost, {errc::connection_lost}},
        {pool_errc::connect_timeout, {errc::server_unavailable}},
        {pool_errc::host_not_found, {errc::server_unavailable}},
        {pool_errc::connect_failed, {errc::server_unavailable}},
        {pool_errc::overloaded, {errc::overloaded}},
        {pool_errc::suspended, {}},
        {pool_errc::would_deadlock, {}},
        {pool_errc::unavailable, {errc::server_unavailable}},
        {pool_errc::auth_failed, {errc::login_refused}},
        {pool_errc::too_many_connections, {errc::overloaded, errc::server_unavailable}},
        {pool_errc::refused_by_hook, {}},
        {pool_errc::closed, {}},
        {pool_errc::query_timeout, {}},
        {pool_errc::lease_released, {}},
        {pool_errc::lease_expired, {}},
        {pool_errc::wrong_type, {}},
        {pool_errc::transaction_aborted, {}},
        {pool_errc::commit_unknown, {}},
        {pool_errc::notifications_missed, {}},
        {pool_errc::copy_ended, {}},
    };
    for (const auto& [code, expected] : rows) {
        INFO(make_error_code(code).message());
        CHECK(meanings_of(code) == expected);
    }
}

TEST_CASE("the system's errors say what to do about them, in either of its categories") {
    const std::pair<int, std::set<errc>> rows[] = {
        {ECONNREFUSED, {errc::server_unavailable}}, {ETIMEDOUT, {errc::server_unavailable}},
        {ENOENT, {errc::server_unavailable}},       {ECONNRESET, {errc::connection_lost}},
        {EPIPE, {errc::connection_lost}},           {EINVAL, {}},
    };
    for (const auto& [value, expected] : rows) {
        INFO(value);
        CHECK(meanings_of({value, boost::system::system_category()}) == expected);
        CHECK(meanings_of({value, boost::system::generic_category()}) == expected);
    }
}

TEST_CASE("every pool error has words of its own") {
    std::set<std::string> seen;
    int known = 0;
    for (int value = 1; pool_category().message(value) != "unknown error"; ++value, ++known) {
        CHECK(seen.insert(pool_category().message(value)).second);
    }
    CHECK(known == static_cast<int>(pool_errc::copy_ended));
}

TEST_CASE("numbers of one category mean nothing in another") {
    const error_code mine{static_cast<int>(sqlstate::deadlock_detected), boost::system::generic_category()};
    CHECK_FALSE(mine == errc::retryable);
    CHECK(error_code{static_cast<int>(pool_errc::closed), sqlstate_category()} != make_error_code(pool_errc::closed));
}
