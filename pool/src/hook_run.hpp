#pragma once

#include <trunkline/pool.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>

#include <memory>
#include <string>

namespace trunkline::detail {

class pooled_connection;

/// One run of a hook of the program's, on a strand of its own, so that it can be cancelled while it runs.
class hook_run : public std::enable_shared_from_this<hook_run> {
public:
    /// Whom it tells.
    class owner {
    public:
        /// The hook is over. `why`: what it threw, else empty. On a thread of the pool's executor.
        virtual void on_hook_done(pooled_connection& c, hook_outcome how, const std::string& why) = 0;
        /// It will never be over: its execution context is being destroyed, it was cancelled before it began, or there was
        /// no memory for it.
        virtual void on_hook_dropped(pooled_connection& c) noexcept = 0;

    protected:
        ~owner() = default;
    };

    /// To be called before the pool's service is made. Asio ends services the newest first, and what drops hooks must not
    /// end before the pool, which would go on as if its context lived.
    static void be_older(const boost::asio::any_io_executor& executor) {
        [[maybe_unused]] const boost::asio::strand<boost::asio::any_io_executor> first{executor};
    }

    explicit hook_run(const boost::asio::any_io_executor& executor) : strand_{executor} {}

    /// The hook must live until it is over; so must the connection.
    void start(const connection_hook& hook, pooled_connection& c, std::shared_ptr<owner> told) noexcept;
    /// Asks it to stop; its end is told as ever.
    void cancel();

private:
    boost::asio::strand<boost::asio::any_io_executor> strand_;
    boost::asio::cancellation_signal stop_;  // on the strand alone, and so is
    bool stopped_ = false;                   // perhaps before the hook began
};

}  // namespace trunkline::detail
