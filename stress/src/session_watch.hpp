#pragma once

#include "gate.hpp"
#include "sleeper.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace trunkline::stress {

/// Counts the sessions of the pool under test where it cannot cheat: in the server's `pg_stat_activity`, every 100 ms,
/// over a connection of its own that is not counted.
class session_watch {
public:
    /// `settings`: how to reach the server; `watched`: the `application_name` to count.
    session_watch(boost::asio::any_io_executor executor, pool_settings settings, std::string watched);

    /// Connects and begins. Throws `error` if the server cannot be reached.
    boost::asio::awaitable<void> start();
    /// Ends and disconnects.
    boost::asio::awaitable<void> stop();

    /// The most sessions seen at once.
    [[nodiscard]] std::size_t most() const noexcept { return most_; }
    /// How often it looked and had an answer.
    [[nodiscard]] std::uint64_t samples() const noexcept { return samples_; }

    /// The connection that is used, for questions beside the pool under test.
    [[nodiscard]] pool& connection_beside() noexcept { return own_; }

private:
    boost::asio::awaitable<void> watch();

    pool own_;
    const std::string watched_;
    sleeper sleep_;
    gate under_way_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> most_{0};
    std::atomic<std::uint64_t> samples_{0};
};

}  // namespace trunkline::stress
