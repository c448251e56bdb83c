#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <thread>
#include <vector>

namespace trunkline::test {

/// Runs `body`, a callable that gives an awaitable, on `context` until nothing is left to do there, with that many
/// threads; rethrows what it threw. So a pool that is not closed makes it run for ever: each test sees that pools end.
template <typename Body>
void run(boost::asio::io_context& context, Body body, std::size_t threads = 1) {
    std::exception_ptr thrown;
    boost::asio::co_spawn(context, body(), [&](std::exception_ptr what) { thrown = what; });
    context.restart();
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads; ++i) {
        others.emplace_back([&] { context.run(); });
    }
    context.run();
    others.clear();
    if (thrown) {
        std::rethrow_exception(thrown);
    }
}

}  // namespace trunkline::test
