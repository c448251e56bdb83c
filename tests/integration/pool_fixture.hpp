#pragma once

#include "support/plain_libpq.hpp"
#include "support/postgres_server.hpp"

#include <trunkline/pool.hpp>

#include <cstdlib>
#include <string>

/// One server for a test program's file, and pools on it that can be told apart by their application's name.
namespace trunkline::test::fixture {

inline postgres_server& server() {
    static postgres_server one;
    return one;
}

/// The database of these tests: what TRUNKLINE_TEST_DATABASE_URL names (`./tests/run --database-url`), or the throwaway.
inline std::string url() {
    const char* const given = std::getenv("TRUNKLINE_TEST_DATABASE_URL");
    return given != nullptr && *given != '\0' ? given : server().url();
}

inline pool_settings settings(const std::string& application, size_settings size) {
    pool_settings s;
    s.name = application;
    s.size = size;
    s.connect.url = url();
    s.connect.application_name = application;
    return s;
}

/// The sessions of that pool as the server sees them.
inline std::size_t sessions(const std::string& application) {
    plain_connection observer{url()};
    return sessions_of(observer, application);
}

}  // namespace trunkline::test::fixture
