#pragma once

#include "closed_loop.hpp"

#include <string>

namespace trunkline::bench {

/// The same loop as the baseline's through the pool: a coroutine for each client, one io_context, one thread.
query_figures run_pool_loop(const std::string& url, cell of, round_time time);

}  // namespace trunkline::bench
