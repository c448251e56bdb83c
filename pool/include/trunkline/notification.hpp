#pragma once

#include <chrono>
#include <string>
#include <type_traits>

namespace trunkline {

/// What `NOTIFY` sends to those who listen.
struct notification {
    std::string channel;
    std::string payload;  ///< empty if it has none
    int backend_pid = 0;  ///< of the session that sent it
};

/// For `connection::notified`. Trivially destructible, so that it may stand inside a `co_await` expression.
struct notified_options {
    /// From the call to the outcome; then it fails with `pool_errc::query_timeout`, and nothing is lost. 0: no limit.
    std::chrono::milliseconds timeout{0};
};
static_assert(std::is_trivially_destructible_v<notified_options>);

}  // namespace trunkline
