#pragma once

#include "options.hpp"

#include <trunkline/error.hpp>
#include <trunkline/settings.hpp>

#include <string>

namespace trunkline::stress {

/// What `pg_stat_activity` calls the sessions of the pool under test; each process has its own name for them.
std::string run_application_name();

/// The settings of the pool under test: all connections open from the start to the end.
pool_settings run_settings(const options& asked, const std::string& url);

/// The settings of the one connection beside it.
pool_settings watch_settings(const options& asked, const std::string& url);

/// Throws `user_error` if the URL names what this program sets itself, or libpq cannot read it.
void check_url(const std::string& url);

/// Why no session could be opened, in the server's words, and what to do.
std::string describe_connect_failure(const error& problem);

}  // namespace trunkline::stress
