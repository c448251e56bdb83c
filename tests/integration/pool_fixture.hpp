#pragma once

#include "support/plain_libpq.hpp"
#include "support/postgres_server.hpp"

#include <trunkline/pool.hpp>

#include <string>
#include <thread>

/// One server for a test program's file, and pools on it that can be told apart by their application's name.
namespace trunkline::test::fixture {

inline postgres_server& server() {
    static postgres_server one;
    return one;
}

inline pool_settings settings(const std::string& application, size_settings size) {
    pool_settings s;
    s.name = application;
    s.size = size;
    s.connect.url = server().url();
    s.connect.application_name = application;
    return s;
}

/// The sessions of that pool as the server sees them.
inline std::size_t sessions(const std::string& application) {
    plain_connection observer{server().url()};
    return sessions_of(observer, application);
}

}  // namespace trunkline::test::fixture
