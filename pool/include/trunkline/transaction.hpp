#pragma once

#include <trunkline/connection.hpp>
#include <trunkline/detail/transaction_body.hpp>
#include <trunkline/error.hpp>
#include <trunkline/transaction_options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace trunkline {

namespace detail {
class transaction_state;

// `Body` is `F&` for a body that the caller keeps, and `F` for one that the coroutine takes.
template <typename Body>
boost::asio::awaitable<transaction_result<Body>> transact(connection& on, Body body, transaction_options options,
                                                          retry_options retry);
template <typename Body>
boost::asio::awaitable<transaction_result<Body>> transact_within(transaction& outer, Body body);

struct failed_run;
/// Rolls back, and waits until the body may run again; throws `from.why` if it may not. Not for a coroutine that has been
/// cancelled.
boost::asio::awaitable<void> recover(failed_run& from, retry_options retry);
}  // namespace detail

/// An open transaction on a connection, or a savepoint inside one. It is rolled back unless `commit()` succeeds.
/// Move-only; like its connection it may be used by any thread, one at a time.
///
/// Destroying an open one never blocks, suspends or throws: the connection then owes a rollback, and sends it in front
/// of its next statement, which fails if that fails; the return of the lease does the same. Nothing runs inside the
/// abandoned transaction any more, but its locks stay until then: `rollback()` gives them back at once.
///
/// Errors of all its operations, besides the connection's own: `pool_errc::transaction_ended` after its end,
/// `pool_errc::lease_released` after the lease's. In both cases nothing was sent. It may outlive its lease, and does nothing
/// then. Do not end it by SQL (`COMMIT`, `ROLLBACK`): where that is seen, the guard says `transaction_ended`.
///
/// The calls that run a statement are the connection's, but only as long as this is open. A statement runs inside the
/// innermost open one, whichever guard it is called on.
class transaction : public detail::statement_calls<transaction> {
public:
    /// Holds nothing.
    transaction() noexcept = default;
    transaction(transaction&& other) noexcept
        : statement_calls{},
          state_{std::move(other.state_)},
          level_{other.level_},
          is_savepoint_{other.is_savepoint_} {}
    transaction& operator=(transaction&& other) noexcept {
        if (this != &other) {
            abandon();
            state_ = std::move(other.state_);
            level_ = other.level_;
            is_savepoint_ = other.is_savepoint_;
        }
        return *this;
    }
    ~transaction() { abandon(); }

    /// Commits; a savepoint is released, and what it did belongs to the transaction around it. Throws `error`:
    ///
    /// - `transaction_nested`: an inner one is open. Nothing was sent; end that one first.
    /// - the server's error (40001, a deferred constraint, …), or `transaction_aborted` if an earlier statement had
    ///   failed: everything is rolled back; of a savepoint, what was done inside it.
    /// - `commit_unknown`: the COMMIT was sent and there is no answer, because the connection was lost, the operation was
    ///   cancelled or its time was over. It may have happened or not: ask the database before you do the work again.
    /// - `operation_in_progress`: nothing was sent, and the transaction stays open.
    ///
    /// Cancellation: as the connection's, but with `commit_unknown`; of a savepoint with `operation_aborted`.
    /// `timeout`: from the call to the outcome, for this and the others here; 0: `query.timeout`.
    boost::asio::awaitable<void> commit(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

    /// Rolls back; inner ones end with it. From the call on nothing runs in it any more: if this fails or is cancelled,
    /// the connection owes the rollback as after destruction.
    boost::asio::awaitable<void> rollback(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

    /// A savepoint inside this one. Throws `error`: `transaction_nested` if another inner one is open.
    boost::asio::awaitable<transaction> begin(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

    /// Calls `body(transaction&)` inside a savepoint, releases it afterwards and gives what the body gave; when the body
    /// throws, rolls back to the savepoint and throws the same. It never runs the body again: 40001 and 40P01 concern the
    /// whole transaction. The body as in `connection::transaction`.
    template <typename Body>
    boost::asio::awaitable<detail::transaction_result<Body>> savepoint(Body&& body) {
        detail::check_body<Body>();
        return detail::transact_within<Body>(*this, std::forward<Body>(body));
    }

    /// Whether it is a part of another transaction.
    [[nodiscard]] bool is_savepoint() const noexcept { return is_savepoint_; }
    /// Whether it has neither been committed nor rolled back, as far as is known here, and its lease lives.
    [[nodiscard]] bool is_open() const noexcept;
    /// Whether it has been committed or rolled back, as far as is known here, whatever has become of its lease.
    [[nodiscard]] bool has_ended() const noexcept;
    /// The connection that it runs on, for what this has no words for. Throws `error` like an operation.
    [[nodiscard]] trunkline::connection& connection() const;

private:
    friend class trunkline::connection;
    friend class detail::query_calls<transaction>;
    friend class detail::statement_calls<transaction>;
    friend struct detail::failed_run;
    friend boost::asio::awaitable<void> detail::recover(detail::failed_run& from, retry_options retry);
    transaction(std::shared_ptr<detail::transaction_state> state, std::uint64_t level, bool is_savepoint) noexcept
        : state_{std::move(state)},
          level_{level},
          is_savepoint_{is_savepoint} {}

    void abandon() noexcept;
    [[nodiscard]] bool is_whole() const noexcept;
    boost::asio::awaitable<result> run(query_options options, std::string sql, parameters values);
    boost::asio::awaitable<detail::transfer_handle> open(detail::transfer_sort sort, query_options options,
                                                         std::string sql, parameters values);

    std::shared_ptr<detail::transaction_state> state_;  // shared with the connection; null: holds nothing
    std::uint64_t level_ = 0;                           // its number in there
    bool is_savepoint_ = false;
};

namespace detail {

/// What remains to be done when one run of a body, or its COMMIT, has failed with `why`. `committing`: it was the COMMIT.
struct failed_run {
    failed_run(transaction& begun, unsigned number) noexcept : of{begun}, level{begun.level_}, runs{number} {}

    transaction& of;
    const std::uint64_t level;  // as it was begun: the body may have put another transaction in its place
    const unsigned runs;
    std::exception_ptr why{};
    bool committing = false;
};
/// Throws `error` (`invalid_value`).
void check(const retry_options& retry);

/// One run.
template <typename Body, typename Value>
boost::asio::awaitable<void> run_body(transaction& in, Body& body, std::optional<Value>& gave, bool& committing) {
    if constexpr (std::is_same_v<Value, std::monostate>) {
        co_await body(in);
        gave.emplace();
    } else {
        auto value = co_await body(in);
        gave.emplace(std::move(value));
    }
    committing = true;
    if (!in.has_ended()) {  // by the body itself
        co_await in.commit();
    }
}

template <typename Body>
boost::asio::awaitable<transaction_result<Body>> repeat(auto begin, Body& body, retry_options retry) {
    using given = transaction_result<Body>;
    using value = std::conditional_t<std::is_void_v<given>, std::monostate, given>;
    for (unsigned runs = 1;; ++runs) {
        trunkline::transaction opened = co_await begin();
        std::optional<value> gave;
        failed_run failure{opened, runs};
        try {
            co_await run_body(opened, body, gave, failure.committing);
        } catch (...) {
            failure.why = std::current_exception();
        }
        if (failure.why == nullptr) {
            if constexpr (std::is_void_v<given>) {
                co_return;
            } else {
                co_return std::move(*gave);
            }
        }
        // A coroutine that has been cancelled can await nothing more: the guard sees to the rollback.
        const auto cancelled = co_await boost::asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != boost::asio::cancellation_type::none) {
            std::rethrow_exception(failure.why);
        }
        co_await recover(failure, retry);
    }
}

template <typename Body>
boost::asio::awaitable<transaction_result<Body>> transact(connection& on, Body body, transaction_options options,
                                                          retry_options retry) {
    check(retry);
    const auto begin = [&] { return on.begin(options); };
    co_return co_await repeat(begin, body, retry);
}

template <typename Body>
boost::asio::awaitable<transaction_result<Body>> transact_within(transaction& outer, Body body) {
    const auto begin = [&] { return outer.begin(); };
    co_return co_await repeat(begin, body, no_retry);
}

}  // namespace detail

template <typename Body>
boost::asio::awaitable<detail::transaction_result<Body>>
connection::transaction(Body&& body, transaction_options options, retry_options retry) {
    detail::check_body<Body>();
    return detail::transact<Body>(*this, std::forward<Body>(body), options, retry);
}

}  // namespace trunkline
