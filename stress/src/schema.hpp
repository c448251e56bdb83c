#pragma once

#include "post.hpp"

#include <trunkline/parameters.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <string>

namespace trunkline::stress {

/// Makes the schema and its empty table anew. Throws `user_error` if the database holds a schema of that name which
/// this program did not make, another run uses it (sessions with another `application_name` of ours than
/// `our_sessions`), or the user may create no schemas or no temporary tables; `error` for all else.
boost::asio::awaitable<void> create_schema(pool& on, std::string our_sessions);

/// After loading: the full-text index and the planner's statistics.
boost::asio::awaitable<void> create_index(pool& on);

boost::asio::awaitable<void> drop_schema(pool& on);

/// Appends a post's values, in the order of `statements::insert`.
void add_post(parameters& to, const post& value);

}  // namespace trunkline::stress
