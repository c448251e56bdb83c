#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>

/// How a test's coroutine waits for what happens elsewhere.
namespace trunkline::test {

/// Lets the context go on for that long.
inline boost::asio::awaitable<void> pause(std::chrono::milliseconds time) {
    boost::asio::steady_timer timer{co_await boost::asio::this_coro::executor};
    timer.expires_after(time);
    co_await timer.async_wait(boost::asio::use_awaitable);
}

/// Lets the context go on until it holds; false if it does not within the time.
template <typename Condition>
boost::asio::awaitable<bool> reached(Condition holds, std::chrono::milliseconds within = std::chrono::seconds{30}) {
    const auto give_up = std::chrono::steady_clock::now() + within;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > give_up) {
            co_return false;
        }
        co_await pause(std::chrono::milliseconds{2});
    }
    co_return true;
}

}  // namespace trunkline::test
