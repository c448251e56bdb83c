#pragma once

#include "closed_loop.hpp"

#include <string>

namespace trunkline::bench {

/// The baseline: plain libpq on epoll, written as one would by hand, without Asio, coroutine or pool. Clients wait
/// first in, first out.
query_figures run_epoll_loop(const std::string& url, cell of, round_time time);

}  // namespace trunkline::bench
