#pragma once

#include <trunkline/error.hpp>
#include <trunkline/lease.hpp>
#include <trunkline/log.hpp>
#include <trunkline/settings.hpp>
#include <trunkline/stats.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace trunkline {

namespace detail {
class pool_impl;
}

/// What one acquire asks for. Trivially destructible, so that it may stand inside a `co_await` expression.
struct acquire_options {
    /// From the call to the lease or the error. 0: `acquire.timeout` of the settings.
    std::chrono::milliseconds timeout{0};
};
static_assert(std::is_trivially_destructible_v<acquire_options>);

/// What the program hears of a pool.
struct pool_hooks {
    log_handler log;  ///< empty: nothing is logged
};

/// A pool of PostgreSQL connections. Callers wait for a connection first in, first out; connections are opened in the
/// background and never by a caller; the most recently used idle connection is lent first.
///
/// Threads: every member may be called from any thread at any time, but the destructor. Connections are driven on the
/// pool's executor, which may have one thread or many; each caller is resumed on its own executor. The pool keeps the
/// executor's `run()` busy until it is closed.
///
/// Lifetime: destroying the pool closes it without waiting: waiters are told `pool_errc::closed`, leases that are out
/// stay valid and their connections are closed when they come back. The execution context must outlive the pool, and a
/// context on which somebody waits for a lease or an answer must outlive that wait. A coroutine of the pool's (`acquire`,
/// `start`, `close`) looks at the pool when it is first awaited: the pool must live then.
class pool {
public:
    /// Checks the settings and reads the URL; opens nothing yet. Throws `settings_error` with every problem.
    explicit pool(boost::asio::any_io_executor executor, pool_settings settings = {}, pool_hooks hooks = {});
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    ~pool();

    /// Opens `size.min` connections and keeps so many open from now on. Throws the last connect error: at once if the
    /// server refuses user, password or database; after `connect.timeout` in all other cases. The pool keeps trying
    /// after it has thrown, until it is closed. It cannot be cancelled: its time is bounded. A pool that was not started
    /// opens connections when somebody asks.
    boost::asio::awaitable<void> start();

    /// Lends a connection, after the callers before this one. Throws `acquire_error`, or `error` with
    /// `operation_aborted` when cancelled (total cancellation: a caller who is told so has no connection). With a free
    /// connection it does not suspend, allocate, read a clock or enter the kernel.
    boost::asio::awaitable<lease> acquire(acquire_options options = {});

    /// A free connection if there is one and nobody waits, else nothing.
    std::optional<lease> try_acquire() noexcept;

    /// `acquire` for any completion token. Completes with a `pool_errc` or `operation_aborted`, never inside this call,
    /// on the handler's executor.
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(acquire_options options, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, lease)>(
            [impl = impl_](auto handler, acquire_options wanted) {
                begin_acquire(impl, wanted, nullptr, std::move(handler));
            },
            token, options);
    }
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(CompletionToken&& token) {
        return async_acquire(acquire_options{}, std::forward<CompletionToken>(token));
    }
    /// With the whole story of a failure in `why`, which must live until the completion.
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(acquire_options options, diagnostics& why, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, lease)>(
            [impl = impl_](auto handler, acquire_options wanted, diagnostics* into) {
                begin_acquire(impl, wanted, into, std::move(handler));
            },
            token, options, &why);
    }

    /// Acquires, runs one statement and returns the connection. Like `acquire` and then `connection::query`; the
    /// acquire's time-out is the settings'.
    template <typename... Args>
    boost::asio::awaitable<result> query(std::string_view sql, Args&&... args) {
        auto values = detail::collect<Args...>(args...);
        return query_with(impl_, std::string{sql}, std::move(values));
    }
    boost::asio::awaitable<result> query(std::string_view sql, parameters values) {
        return query_with(impl_, std::string{sql}, std::move(values));
    }

    /// Takes new settings, live. More room serves waiters at once; less closes idle connections now and lent ones when
    /// they come back; a change of `connect` that concerns sessions (URL, application name, TCP) replaces every
    /// connection when it is free. No lease is broken. Throws `settings_error` and changes nothing if they are invalid.
    void reconfigure(pool_settings settings);

    /// Replaces every connection: idle ones now, lent ones when they come back.
    void rotate();

    /// Lends nothing from now on, tells all waiters `pool_errc::closed`, waits up to `grace` for the leases that are
    /// out, then closes all connections; operations still under way fail with `pool_errc::closed`. Completes when every
    /// session has ended, at most `grace` + 3 s later. A second call awaits the same end. Never throws. It cannot be
    /// cancelled: its time is bounded.
    boost::asio::awaitable<void> close(std::chrono::milliseconds grace);

    /// One consistent snapshot; takes no lock and disturbs nobody.
    [[nodiscard]] pool_stats stats() const noexcept;

    /// The settings in force.
    [[nodiscard]] pool_settings settings() const;
    [[nodiscard]] boost::asio::any_io_executor get_executor() const noexcept;

private:
    using acquire_handler = boost::asio::any_completion_handler<void(error_code, lease)>;

    static void begin_acquire(const std::shared_ptr<detail::pool_impl>& impl, acquire_options options, diagnostics* why,
                              acquire_handler handler);
    static boost::asio::awaitable<result> query_with(std::shared_ptr<detail::pool_impl> impl, std::string sql,
                                                     parameters values);

    std::shared_ptr<detail::pool_impl> impl_;
};

}  // namespace trunkline
