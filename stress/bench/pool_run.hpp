#pragma once

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <string>

namespace trunkline::bench {

/// A pool with all its connections open, on one io_context and one thread: what every measurement of the pool needs.
class pool_run {
public:
    /// Measures and returns; all leases are back by then.
    using body = std::function<boost::asio::awaitable<void>(pool_run&)>;

    pool_run(const std::string& url, std::size_t connections);

    /// Opens the pool, runs `measure` as a coroutine and closes the pool. Throws what the coroutine threw.
    void run(const body& measure);

    /// Starts one more coroutine; its exception ends the run.
    void spawn(boost::asio::awaitable<void> client);

    [[nodiscard]] pool& connections() noexcept { return pool_; }

private:
    boost::asio::awaitable<void> drive(const body& measure);

    boost::asio::io_context context_{1};
    pool pool_;
    std::exception_ptr failure_;
};

}  // namespace trunkline::bench
