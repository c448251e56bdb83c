#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace trunkline::stress {

/// Where clients sleep: one timer and one heap for all of them, so that ten thousand thinking clients cost no more than
/// their own frames. Thread-safe. Nobody may sleep any more when it is destroyed: `wake_all` first, then let them end.
class sleeper {
public:
    using clock = std::chrono::steady_clock;

    explicit sleeper(boost::asio::any_io_executor executor);
    sleeper(const sleeper&) = delete;
    sleeper& operator=(const sleeper&) = delete;
    ~sleeper();

    /// Completes with `void()` at `when` or a little later, or as soon as everybody is woken; never inside this call.
    template <boost::asio::completion_token_for<void()> CompletionToken>
    auto async_sleep_until(clock::time_point when, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void()>(
            [this](auto handler, clock::time_point at) { begin(at, std::move(handler)); }, token, when);
    }

    /// Wakes everybody, and from now on nobody sleeps.
    void wake_all();

private:
    using wake_handler = boost::asio::any_completion_handler<void()>;
    class state;

    void begin(clock::time_point when, wake_handler handler);

    std::shared_ptr<state> state_;  // shared with the timer's handler, which may come after the end
};

}  // namespace trunkline::stress
