#pragma once

#include "figures.hpp"

#include <chrono>
#include <string>

namespace trunkline::bench {

/// Acquire and release with nobody else about, on a pool of idle sessions.
uncontended_figures run_uncontended(const std::string& url, std::size_t connections);

/// Acquire and release in a loop by all clients at once, without a query: each release hands the connection over.
handoff_figures run_handoff(const std::string& url, cell of, std::chrono::milliseconds time);

/// Everybody waits while all connections are lent and nothing happens.
parked_figures run_parked(const std::string& url, cell of, std::chrono::seconds time);

}  // namespace trunkline::bench
