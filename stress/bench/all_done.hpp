#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>

namespace trunkline::bench {

/// Waits until every coroutine that belongs to it has ended. For one thread.
class all_done {
public:
    explicit all_done(const boost::asio::any_io_executor& executor)
        : ended_{executor, boost::asio::steady_timer::time_point::max()} {}

    /// Held by each coroutine.
    class member {
    public:
        explicit member(all_done& of) : of_{of} { ++of_.members_; }
        ~member() {
            if (--of_.members_ == 0) {
                of_.ended_.cancel();
            }
        }
        member(const member&) = delete;
        member& operator=(const member&) = delete;

    private:
        all_done& of_;
    };

    /// The coroutines must have been spawned; they need not have begun.
    boost::asio::awaitable<void> wait() {
        boost::system::error_code cancelled;
        // co_spawn begins a coroutine later: this one comes after all that were spawned before.
        co_await boost::asio::post(ended_.get_executor(), boost::asio::use_awaitable);
        while (members_ > 0) {
            co_await ended_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
        }
    }

private:
    boost::asio::steady_timer ended_;
    std::size_t members_ = 0;
};

}  // namespace trunkline::bench
