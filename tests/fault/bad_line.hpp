#pragma once

#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/run.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>

namespace trunkline::test {

/// A proxy before the file's server, and a pool behind it that tries again soon.
struct bad_line {
    explicit bad_line(const std::string& application, size_settings size = {.min = 0, .max = 1})
        : pool{context.get_executor(), settings(application, size)} {}

    pool_settings settings(const std::string& application, size_settings size) const {
        // Each dial is to be one connection: without TLS or GSSAPI, after which libpq would try again without.
        auto chosen =
            settings_on(proxy.url(fixture::server(), "sslmode=disable&gssencmode=disable"), application, size);
        chosen.connect.backoff_initial = std::chrono::milliseconds{1};
        chosen.connect.backoff_max = std::chrono::milliseconds{2};
        chosen.acquire.timeout = std::chrono::seconds{30};
        chosen.prepare.mode = prepare_mode::off;  // a handshake and an answer are of the same length each time
        return chosen;
    }

    boost::asio::awaitable<bool> empty() {
        const auto none_left = [&] { return pool.stats().total == 0 && proxy.counts().open == 0; };
        co_return co_await reached(none_left);
    }

    /// Opens a session and gives what it took.
    boost::asio::awaitable<session_counts> handshake() {
        const session_counts before = proxy.counts();
        auto lease = co_await pool.acquire();
        session_counts after = proxy.counts();
        after.to_server -= before.to_server;
        after.to_client -= before.to_client;
        lease.discard();
        const bool none_left = co_await empty();
        CHECK(none_left);
        co_return after;
    }

    /// Sessions that broke, idle or in use.
    [[nodiscard]] std::uint64_t gone() const { return pool.stats().lost + pool.stats().discarded; }

    boost::asio::io_context context;
    fault_proxy proxy{fixture::server()};
    trunkline::pool pool;
};

inline line_faults cut(proxy_direction direction, std::uint64_t at, proxy_end how) {
    line_faults faults;
    auto& flow = direction == proxy_direction::to_server ? faults.to_server : faults.to_client;
    flow.cut_at = at;
    flow.cut_by = how;
    return faults;
}

}  // namespace trunkline::test
