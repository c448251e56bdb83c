#pragma once

#include "../integration/waiting.hpp"
#include "fault_fixture.hpp"
#include "support/fault_proxy.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

/// Sessions that end amid what they do.
namespace trunkline::test {

enum class blow : unsigned char {
    kill,   ///< the server ends the session
    close,  ///< the line ends it: the server may go on without anybody who listens
    reset,
};

/// What strikes one operation and when, and how it ended.
struct struck_operation {
    int round = 0;
    blow with = blow::kill;
    std::chrono::microseconds after{};

    int pid = 0;  // the session that it runs on
    std::optional<std::chrono::steady_clock::time_point> struck{};
    std::optional<std::chrono::steady_clock::time_point> settled{};
    error_code how{};  // none: it succeeded
};

/// A server behind a proxy, a pool with a second connection for whatever would go astray, and an observer.
struct struck_stage {
    explicit struck_stage(std::string application)
        : name{std::move(application)},
          lines{context.get_executor(), settings()},
          observer{fixture::server().url()} {}

    [[nodiscard]] pool_settings settings() const {
        auto chosen =
            settings_on(proxy.url(fixture::server(), "sslmode=disable&gssencmode=disable"), name, {.min = 2, .max = 2});
        chosen.connect.backoff_initial = std::chrono::milliseconds{1};
        chosen.connect.backoff_max = std::chrono::milliseconds{2};
        chosen.acquire.timeout = std::chrono::seconds{30};
        return chosen;
    }
    /// Both connections are there, one of which has come since the last call: each round costs one at least.
    boost::asio::awaitable<bool> is_calm() {
        const auto whole = [this] {
            return lines.stats().opened > opened && lines.stats().idle == 2 && proxy.counts().open == 2;
        };
        const bool calm = co_await reached(whole);
        opened = lines.stats().opened;
        co_return calm;
    }
    [[nodiscard]] bool has_session(int pid) {
        return observer.count("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(pid)) != 0;
    }

    boost::asio::io_context context;
    fault_proxy proxy{fixture::server()};
    const std::string name;
    pool lines;
    plain_connection observer;
    std::uint64_t opened = 0;
};

/// Shared with whoever runs the operation: either may hang when the test has given up.
inline boost::asio::awaitable<void> strike(struck_stage& on, std::shared_ptr<struck_operation> one) {
    boost::asio::steady_timer timer{on.context};
    timer.expires_after(one->after);
    co_await timer.async_wait(boost::asio::use_awaitable);
    switch (one->with) {
    case blow::kill: on.observer.execute("SELECT pg_terminate_backend(" + std::to_string(one->pid) + ")"); break;
    case blow::close: on.proxy.end_all(proxy_end::close); break;
    case blow::reset: on.proxy.end_all(proxy_end::reset); break;
    }
    one->struck = std::chrono::steady_clock::now();
}

}  // namespace trunkline::test
