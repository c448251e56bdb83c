#pragma once

#include <trunkline/detail/statement_calls.hpp>
#include <trunkline/detail/transaction_body.hpp>
#include <trunkline/notification.hpp>
#include <trunkline/parameters.hpp>
#include <trunkline/pipeline.hpp>
#include <trunkline/query_options.hpp>
#include <trunkline/result.hpp>
#include <trunkline/transaction_options.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trunkline {

namespace pg {
class session;
}

namespace detail {
class transaction_state;
}

class pool;
class transaction;

/// One session with the server, as a lease hands it out. It runs one operation at a time; a second one meanwhile fails
/// with `pool_errc::operation_in_progress` and harms nothing. Any thread may use it, one at a time. It is valid as
/// long as its lease. Without a session (an empty lease) every statement throws `pool_errc::lease_released`.
///
/// Cancellation (terminal, and with it partial and total): the operation completes at once with
/// `boost::asio::error::operation_aborted`, and the server is asked to stop. A statement that follows waits until the
/// server has done so; if it does not within `query.cancel_timeout`, the connection is lost. A time-out is the same with
/// `pool_errc::query_timeout`.
class connection : public detail::statement_calls<connection> {
public:
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// Begins a transaction, in one round trip, and gives the guard that rolls it back unless it is committed. Inside one
    /// that is open already, begun here or by SQL, it is a savepoint (`trunkline_1`, `trunkline_2`, … by depth). Throws
    /// `error`: `invalid_value` for options that say nothing together or stand inside another transaction, before
    /// anything is sent; else as a statement. Cancelled, or when its time is over, nothing of it stays open.
    /// `<trunkline/transaction.hpp>`, which `lease.hpp` includes, has the guard.
    boost::asio::awaitable<trunkline::transaction> begin(transaction_options options = {});

    /// Calls `body(transaction&)`, which gives an `awaitable<R>`, inside a transaction (or a savepoint, as `begin`),
    /// commits and gives what the body gave. When the body throws, rolls back and throws the same; after a cancellation
    /// the connection owes that rollback. A body may end its transaction itself; then nothing more is sent.
    ///
    /// The body runs once, unless `retry` allows more: then the whole of it runs again, in a new transaction, when it or
    /// the COMMIT failed with 40001 or 40P01. After the last run their error is thrown. Never run again is what was not
    /// rolled back for certain (`commit_unknown`, `connection_lost`), what was cancelled, a body that had ended its
    /// transaction itself before it failed, and a savepoint. Throws `error` (`invalid_value`) for `retry` beyond bounds.
    ///
    /// A body that is an lvalue must live until the end; an rvalue is taken along. On g++ 12 an rvalue with non-trivial
    /// captures is refused: give the lambda a name.
    template <typename Body>
    boost::asio::awaitable<detail::transaction_result<Body>> transaction(Body&& body, transaction_options options = {},
                                                                         retry_options retry = no_retry);

    /// Runs the statements of a pipeline in one round trip and gives their results, in order. If one fails the others go
    /// on, unless `options.atomic`, and this throws `pipeline_error` when all are answered: the first failure, with the
    /// outcomes of all. `statements` must live until this has completed.
    boost::asio::awaitable<std::vector<result>> run(const pipeline& statements, pipeline_options options = {});
    /// The same with the failures as values: of each statement what it gave, or why not, and whether it may have run. It
    /// throws for want of memory alone.
    boost::asio::awaitable<std::vector<statement_outcome>> try_run(const pipeline& statements,
                                                                   pipeline_options options = {});

    /// The next notification, after `LISTEN`; those that have come already, up to 1,024, first. Inside a transaction the
    /// server sends none. Meanwhile the connection may run statements, but one call of this only. Throws `error`:
    /// `query_timeout`, `operation_aborted` when cancelled (then none is lost), `notifications_missed` once where more had
    /// come than are kept, `operation_in_progress` for a second call, what ended the connection, and `lease_released` when
    /// the lease ends. For long listening: `<trunkline/listener.hpp>`.
    boost::asio::awaitable<notification> notified(notified_options options = {});

    /// The server's process for this session, as `pg_stat_activity.pid` shows it; 0 without a session.
    [[nodiscard]] int backend_pid() const noexcept;
    /// What the server reports of a parameter (`server_version`, `TimeZone`, …); empty if it does not report that one, and
    /// without a session.
    [[nodiscard]] std::string server_parameter(const char* name) const;

protected:
    connection() = default;
    ~connection();

    /// Ends what a lease has begun: its guards let go.
    void forget_transactions() noexcept;
    /// Takes the other's guards over, together with its session.
    void inherit_transactions(connection& from) noexcept;

private:
    friend class trunkline::transaction;
    friend class pool;
    friend class detail::query_calls<connection>;
    friend class detail::statement_calls<connection>;

    boost::asio::awaitable<result> run(query_options options, std::string sql, parameters values);
    boost::asio::awaitable<result> run_settled(query_options options, std::string sql, parameters values);
    struct manner {
        bool owes_nothing = false;  // as it was called; it is awaited later, maybe
        bool is_traced = false;     // its text is another each time
    };
    boost::asio::awaitable<result> run_now(std::chrono::milliseconds timeout, std::string sql, parameters values,
                                           manner how);
    boost::asio::awaitable<detail::transfer_handle> open(detail::transfer_sort sort, query_options options,
                                                         std::string sql, parameters values);
    boost::asio::awaitable<std::chrono::milliseconds> settle(std::chrono::milliseconds timeout);
    [[nodiscard]] bool owes_rollback() const noexcept;
    [[nodiscard]] bool is_settled() const noexcept;

protected:
    std::shared_ptr<pg::session> session_;

private:
    std::shared_ptr<detail::transaction_state> transactions_;  // null: no guard since the lease began
};

}  // namespace trunkline
