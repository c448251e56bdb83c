#pragma once

#include "support/reached.hpp"
#include "support/scripted_server.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// What the coroutines of these tests do all the time.
namespace trunkline::test {

/// So many leases at once.
inline boost::asio::awaitable<std::vector<lease>> take(pool& from, std::size_t count) {
    std::vector<lease> all;
    for (std::size_t i = 0; i < count; ++i) {
        auto one = co_await from.acquire();
        all.push_back(std::move(one));
    }
    co_return all;
}

/// Why an acquire that should fail does; null if it does not.
inline boost::asio::awaitable<std::shared_ptr<const acquire_error>> refusal(pool& from, acquire_options options = {}) {
    std::shared_ptr<const acquire_error> why;
    try {
        const auto given = co_await from.acquire(options);
    } catch (const acquire_error& refused) {
        why = std::make_shared<const acquire_error>(refused);
    }
    co_return why;
}

/// How a statement ends: no code if it goes well.
inline boost::asio::awaitable<error_code> outcome_of(connection& on, std::string sql) {
    error_code how;
    try {
        co_await on.query(sql);
    } catch (const error& failed) {
        how = failed.code();
    }
    co_return how;
}

/// Begins a statement on `on` that is not awaited; it lives for as long as the context runs.
inline void begin(boost::asio::io_context& context, connection& on, std::string sql) {
    const auto body = [](connection* where, std::string what) -> boost::asio::awaitable<void> {
        (void)co_await outcome_of(*where, std::move(what));
    };
    boost::asio::co_spawn(context, body(&on, std::move(sql)), boost::asio::detached);
}

/// Until it is cancelled.
inline boost::asio::awaitable<void> hang() {
    boost::asio::steady_timer forever{co_await boost::asio::this_coro::executor};
    forever.expires_at(boost::asio::steady_timer::time_point::max());
    co_await forever.async_wait(boost::asio::use_awaitable);
}

inline double milliseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

namespace fixture {

/// For a pool on a scripted server, which does not have to wait for long.
inline pool_settings settings_on(const scripted_server& server, size_settings size) {
    pool_settings s;
    s.name = "scripted";
    s.size = size;
    s.connect.url = server.url();
    s.connect.backoff_initial = std::chrono::milliseconds{10};
    s.connect.backoff_max = std::chrono::milliseconds{50};
    return s;
}

}  // namespace fixture

}  // namespace trunkline::test
