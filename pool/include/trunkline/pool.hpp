#pragma once

#include <trunkline/error.hpp>
#include <trunkline/lease.hpp>
#include <trunkline/log.hpp>
#include <trunkline/settings.hpp>
#include <trunkline/source_location.hpp>
#include <trunkline/statement_report.hpp>
#include <trunkline/stats.hpp>
#include <trunkline/transaction.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace trunkline {

namespace detail {
class pool_impl;
}

/// What one acquire asks for. Trivially destructible, so that it may stand inside a `co_await` expression.
struct acquire_options {
    /// From the call to the lease or the error. 0: `acquire.timeout` of the settings.
    std::chrono::milliseconds timeout{0};
    /// A lease of this pool that the caller keeps meanwhile, or null. When all who hold a connection wait for another one
    /// in this way, the one who closes the ring is told `pool_errc::would_deadlock` at once. It must outlive the acquire.
    const lease* holding = nullptr;
};
static_assert(std::is_trivially_destructible_v<acquire_options>);

/// `pool::suspend`'s choice. Trivially destructible.
struct suspend_options {
    /// Nobody's time passes meanwhile; else callers time out as ever, with `pool_errc::suspended`.
    bool hold_deadlines = false;
};

/// What a hook decides about its connection. A hook that throws, or is not done in its time (`hook_settings`), has said
/// `discard`.
enum class hook_outcome {
    keep,           ///< the connection goes on
    discard,        ///< close it; of `before_acquire`: and try another
    retry_another,  ///< of `before_acquire`: the connection is well, but this caller should have another; else: `keep`.
                    ///< It is asked once about each connection; when no other can come: as `fail_acquire`.
    fail_acquire,   ///< of `before_acquire`: the caller is told `pool_errc::refused_by_hook`; else: `discard`
};

/// Code of the program's at a turn in a connection's life: a coroutine that may use the connection and nothing else of
/// the pool. It runs on a strand of the pool's executor, and is cancelled (terminal) when its time is over.
using connection_hook = std::function<boost::asio::awaitable<hook_outcome>(connection&)>;

/// What the program hears of a pool, and does at the turns of a connection's life. What is empty costs nothing.
struct pool_hooks {
    log_handler log;  ///< empty: nothing is logged
    statement_hook
        on_statement;            ///< after each statement of the program's: what it was, how long it took, how it ended
    connection_hook on_connect;  ///< before a new connection joins: prepare statements (a `SET` is reset; the URL's
                                 ///< `options` last). What the dial has left of `connect.timeout` bounds it too. One
                                 ///< that does not join counts as a failed dial.
    connection_hook before_acquire;  ///< before each lending; callers then always wait for it
    connection_hook after_release;   ///< after each return, once what was left behind has been cleaned up
    connection_hook before_close;    ///< before the goodbye to a connection that can still talk; the outcome is ignored
};

/// One lease that is out.
struct lease_holder {
    const char* file = "";             ///< of the acquire; of `pool::query` a place in this library
    const char* function = "";         ///< the same
    unsigned line = 0;                 ///< the same
    int backend_pid = 0;               ///< of its session
    std::chrono::nanoseconds since{};  ///< its age at least: as the pool's looks around saw it
    bool leak_reported = false;        ///< it is older than `lease.leak_threshold`
};

/// What a pool does with callers.
enum class pool_state {
    open,       ///< lends
    suspended,  ///< queues them until `resume()`
    draining,   ///< lends still, and will close in a moment: `close.preclose_delay`
    closed,     ///< refuses them
};

/// One connection, to choose by in `pool::evict`.
struct connection_info {
    int backend_pid = 0;
    std::chrono::nanoseconds age{};  ///< since it was opened
    std::uint64_t uses = 0;          ///< how often it was lent
    bool leased = false;
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
///
/// In the child of a `fork()` the pool remains the parent's: acquires and `start` fail with `pool_errc::closed`, everything
/// else does nothing, and its destruction sends nothing on the parent's sockets. A child opens a pool of its own.
///
/// `query` and `execute`: acquire, run one statement and return the connection. Like `acquire` and then the connection's;
/// the acquire's time-out is the settings', that of `query_options` is the statement's.
class pool : public detail::query_calls<pool> {
public:
    /// Checks the settings and reads the URL; opens nothing yet. Throws `settings_error` with every problem.
    explicit pool(boost::asio::any_io_executor executor, pool_settings settings = {}, pool_hooks hooks = {});
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    ~pool();

    /// Opens `size.min` connections and keeps so many open from now on. Throws the last connect error: at once if the
    /// server refuses user, password or database; after `connect.timeout` in all other cases; `recovery.start` has other
    /// ways. The pool keeps trying after it has thrown, until it is closed. It cannot be cancelled: its time is bounded,
    /// unless `recovery` says otherwise. A pool that was not started opens connections when somebody asks.
    boost::asio::awaitable<void> start();

    /// Lends a connection, after the callers before this one. Throws `acquire_error`, or `error` with
    /// `operation_aborted` when cancelled (total cancellation: a caller who is told so has no connection). With a free
    /// connection it does not suspend, allocate, read a clock or enter the kernel.
    /// `where` is for `holders()` and the report of a leak.
    boost::asio::awaitable<lease> acquire(source_location where = source_location::current());
    boost::asio::awaitable<lease> acquire(acquire_options options, source_location where = source_location::current());

    /// A free connection if there is one and nobody waits, else nothing.
    std::optional<lease> try_acquire(source_location where = source_location::current()) noexcept;

    /// `acquire` for any completion token. Completes with a `pool_errc` or `operation_aborted`, never inside this call,
    /// on the handler's executor.
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(acquire_options options, CompletionToken&& token,
                       source_location where = source_location::current()) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, lease)>(
            [impl = impl_, where](auto handler, acquire_options wanted) {
                begin_acquire(impl, wanted, where, nullptr, std::move(handler));
            },
            token, options);
    }
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(CompletionToken&& token, source_location where = source_location::current()) {
        return async_acquire(acquire_options{}, std::forward<CompletionToken>(token), where);
    }
    /// With the whole story of a failure in `why`, which must live until the completion.
    template <boost::asio::completion_token_for<void(error_code, lease)> CompletionToken>
    auto async_acquire(acquire_options options, diagnostics& why, CompletionToken&& token,
                       source_location where = source_location::current()) {
        return boost::asio::async_initiate<CompletionToken, void(error_code, lease)>(
            [impl = impl_, where](auto handler, acquire_options wanted, diagnostics* into) {
                begin_acquire(impl, wanted, where, into, std::move(handler));
            },
            token, options, &why);
    }

    /// Acquires, runs a pipeline and returns the connection. Like `acquire` and then `connection::run`. `statements` must live
    /// until this has completed.
    boost::asio::awaitable<std::vector<result>> run(const pipeline& statements, pipeline_options options = {}) {
        return run_with(impl_, statements, options);
    }

    /// Acquires, calls `body(transaction&)`, which gives an `awaitable<R>`, inside a transaction, commits, returns the
    /// connection and gives what the body gave. Like `acquire` and then `connection::transaction`, but the body runs
    /// again after 40001 and 40P01, on the same connection, up to five times in all: it must be safe to run again. If it
    /// is not (it sends a mail, it counts in a variable): `pool.transaction(body, {}, trunkline::no_retry)`.
    template <typename Body>
    boost::asio::awaitable<detail::transaction_result<Body>>
    transaction(Body&& body, transaction_options options = {}, retry_options retry = {},
                source_location where = source_location::current()) {
        detail::check_body<Body>();
        return detail::transact_on<Body>(acquire(where), std::forward<Body>(body), options, retry);
    }

    /// Takes new settings, live. More room serves waiters at once; less closes idle connections now and lent ones when
    /// they come back; a change of `connect` that concerns sessions (URL, application name, TCP) replaces every
    /// connection when it is free. No lease is broken. Throws `settings_error` and changes nothing if they are invalid.
    void reconfigure(pool_settings settings);

    /// Replaces every connection when it is free, one after another, so that callers notice nothing: the new one is open
    /// before the old one leaves if `size.max` has room; else one leaves first. After each replacement the pool rests for
    /// nineteen times as long as that took, a second at most; a full pool, which is one short meanwhile, for 2,000 /
    /// `size.max` times, five seconds at most: with 20 ms a handshake it takes 40 s in all. A further call ends such a rest.
    void rotate();

    /// Closes every connection: idle ones now, lent ones when they come back.
    void evict_all();
    /// The same for those that `chosen` is true for. It is called under the pool's lock, for each connection that is
    /// open: it must be quick and must not touch the pool. What it throws, this throws, and closes nothing.
    void evict(const std::function<bool(const connection_info&)>& chosen);

    /// Lends nothing and opens nothing until `resume()`: callers are queued. Leases that are out stay valid. Nothing
    /// happens if it is suspended already.
    void suspend(suspend_options options = {});
    /// Serves those who wait, in order.
    void resume();

    /// The leases that are out, in no order. It takes the pool's lock for as long as it takes to list them.
    [[nodiscard]] std::vector<lease_holder> holders() const;
    [[nodiscard]] pool_state state() const noexcept;
    /// The latest failed dial since the last that succeeded, or null if there was none.
    [[nodiscard]] std::shared_ptr<const connect_failure> last_connect_error() const;

    /// After `close.preclose_delay`: lends nothing from now on, tells all waiters `pool_errc::closed`, waits up to
    /// `grace` for the leases that are out, then closes all connections; operations still under way fail with
    /// `pool_errc::closed`. Completes when every session has ended, at most `grace` + 3 s later. A second call awaits the
    /// same end. Never throws. It cannot be cancelled: its time is bounded.
    boost::asio::awaitable<void> close(std::chrono::milliseconds grace);

    /// One consistent snapshot; takes no lock and disturbs nobody.
    [[nodiscard]] pool_stats stats() const noexcept;

    /// The settings in force.
    [[nodiscard]] pool_settings settings() const;
    [[nodiscard]] boost::asio::any_io_executor get_executor() const noexcept;

private:
    friend class listener;
    friend class detail::query_calls<pool>;
    using acquire_handler = boost::asio::any_completion_handler<void(error_code, lease)>;

    static void begin_acquire(const std::shared_ptr<detail::pool_impl>& impl, acquire_options options,
                              source_location where, diagnostics* why, acquire_handler handler);
    static boost::asio::awaitable<std::vector<result>> run_with(std::shared_ptr<detail::pool_impl> impl,
                                                                const pipeline& statements, pipeline_options options);
    boost::asio::awaitable<result> run(query_options options, std::string sql, parameters values) {
        return query_with(impl_, options, std::move(sql), std::move(values));
    }
    static boost::asio::awaitable<result> query_with(std::shared_ptr<detail::pool_impl> impl, query_options options,
                                                     std::string sql, parameters values);

    std::shared_ptr<detail::pool_impl> impl_;
};

}  // namespace trunkline
