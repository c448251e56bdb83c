#pragma once

#include "support/reached.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

namespace trunkline::test {

/// Clients who each ask again as soon as they have been answered, and what they saw. Each question ends exactly once:
/// `begun == answered + failed` whenever nobody is under way. One thread; it must outlive its clients.
class closed_loop {
public:
    using clock = std::chrono::steady_clock;

    closed_loop(pool& asked, std::string sql) : asked_{asked}, sql_{std::move(sql)} {}
    closed_loop(const closed_loop&) = delete;
    closed_loop& operator=(const closed_loop&) = delete;

    /// More clients. `after_failure`: how long one rests before it asks again.
    void add(const boost::asio::any_io_executor& on, std::size_t clients,
             std::chrono::milliseconds after_failure = {}) {
        for (std::size_t i = 0; i < clients; ++i) {
            ++active_;
            boost::asio::co_spawn(on, ask(after_failure), boost::asio::detached);
        }
    }
    /// Nobody asks again. False: somebody is still under way after the time that tests have.
    boost::asio::awaitable<bool> end() {
        stop_ = true;
        const auto all_gone = [this] { return active_ == 0; };
        const bool gone = co_await reached(all_gone);
        co_return gone;
    }

    std::size_t begun = 0;
    std::size_t answered = 0;
    std::size_t failed = 0;
    std::map<error_code, std::size_t> failures{};  ///< by their code
    clock::time_point first_failure = clock::time_point::max();

private:
    boost::asio::awaitable<void> ask(std::chrono::milliseconds after_failure) {
        while (!stop_) {
            ++begun;
            error_code code;
            try {
                co_await asked_.query(sql_);
            } catch (const error& failure) {
                code = failure.code();
            }
            if (!code) {
                ++answered;
                continue;
            }
            ++failed;
            ++failures[code];
            first_failure = std::min(first_failure, clock::now());
            if (after_failure.count() > 0) {
                co_await pause(after_failure);
            }
        }
        --active_;
    }

    pool& asked_;
    const std::string sql_;
    std::size_t active_ = 0;
    bool stop_ = false;
};

}  // namespace trunkline::test
