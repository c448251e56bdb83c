#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>

namespace trunkline {

/// For one statement. Trivially destructible, so that it may stand inside a `co_await` expression.
struct query_options {
    /// From the call to the outcome; then it fails with `pool_errc::query_timeout`, the server is made to stop, and the
    /// connection goes on. 0: `query.timeout` of the pool's settings. Of a stream or a COPY: each time that it waits for the
    /// server or the network; the time in which the program is busy itself is not counted.
    std::chrono::milliseconds timeout{0};
    /// W3C Trace Context's `traceparent` (`00-<32 hex digits>-<16>-<2>`): sent as a comment behind the statement, in
    /// sqlcommenter's form, so that the server's log and `pg_stat_activity` name the trace. Anything else is an `error`
    /// (`invalid_value`). Empty: no comment. A statement with one is not prepared, because its text is another each time.
    std::string_view trace_parent{};
};
static_assert(std::is_trivially_destructible_v<query_options>);

namespace detail {
/// What is sent. Throws `error` (`invalid_value`).
std::string text_of(const query_options& options, std::string_view sql);
}  // namespace detail

}  // namespace trunkline
