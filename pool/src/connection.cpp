#include "pg/session.hpp"
#include "running_transfer.hpp"
#include "transaction_state.hpp"

#include <trunkline/connection.hpp>
#include <trunkline/error.hpp>
#include <trunkline/sqlstate.hpp>

#include <utility>

namespace trunkline {

boost::asio::awaitable<result> connection::run(query_options options, std::string sql, parameters values) {
    // Only who has used a guard can owe a rollback: all others are spared a frame.
    const manner how{.owes_nothing = true, .is_traced = !options.trace_parent.empty()};
    return transactions_ == nullptr ? run_now(options.timeout, std::move(sql), std::move(values), how)
                                    : run_settled(options, std::move(sql), std::move(values));
}

bool connection::owes_rollback() const noexcept {
    return transactions_ != nullptr && transactions_->owed() != detail::transaction_state::none;
}

/// Behind the rollbacks that are owed.
boost::asio::awaitable<result> connection::run_settled(query_options options, std::string sql, parameters values) {
    if (owes_rollback()) {
        options.timeout = co_await settle(options.timeout);
    }
    const manner how{.is_traced = !options.trace_parent.empty()};
    co_return co_await run_now(options.timeout, std::move(sql), std::move(values), how);
}

boost::asio::awaitable<result> connection::run_now(std::chrono::milliseconds timeout, std::string sql,
                                                   parameters values, manner how) {
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    if (how.owes_nothing && owes_rollback()) {
        throw error{pool_errc::operation_in_progress,
                    "a transaction was given up after this statement was made and before it was awaited"};
    }
    detail::running_statement statement;
    statement.sql = sql;
    statement.values = &values;
    statement.timeout = timeout;
    statement.is_unnamed = how.is_traced;
    co_await statement.sleeper.until([&] {
        // With a copy of its own: the frame and the lease may be gone before `start` has returned.
        statement.start_on(session_);
    });
    if (statement.code.category() == sqlstate_category()) {
        throw error{statement.code, std::move(statement.said), sql};
    }
    if (statement.code) {
        throw error{statement.code, std::move(statement.said)};
    }
    co_return std::move(statement.rows);
}

/// A stream or a COPY, behind the rollbacks that are owed.
boost::asio::awaitable<detail::transfer_handle> connection::open(detail::transfer_sort sort, query_options options,
                                                                 std::string sql, parameters values) {
    if (owes_rollback()) {
        options.timeout = co_await settle(options.timeout);
    }
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    detail::transfer_handle opened{
        new detail::running_transfer{sort, std::move(sql), std::move(values), options.timeout}};
    co_await opened->sleeper.until([&] {
        // With a copy of its own: the frame and the lease may be gone before `start` has returned.
        opened->start_on(session_);
    });
    if (opened->has_failed()) {
        opened->check();
    }
    co_return opened;
}

boost::asio::awaitable<notification> connection::notified(notified_options options) {
    if (owes_rollback()) {
        co_await settle(options.timeout);
    }
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    detail::awaited_operation<pg::hearing> waiting;
    waiting.timeout = options.timeout;
    if (!session_->take_notification(waiting)) {
        co_await waiting.sleeper.until([&] {
            const auto session = session_;  // the frame and the lease may be gone before `hear` has returned
            waiting.hear_on(session);
        });
    }
    if (waiting.code) {
        throw error{waiting.code, diagnostics{}};
    }
    co_return std::move(waiting.heard);
}

boost::asio::awaitable<std::uint64_t> detail::rows_affected_by(boost::asio::awaitable<result> running) {
    const result done = co_await std::move(running);
    co_return done.rows_affected();
}

int connection::backend_pid() const noexcept { return session_ != nullptr ? session_->backend_pid() : 0; }

std::string connection::server_parameter(const char* name) const {
    return session_ != nullptr ? session_->server_parameter(name) : std::string{};
}

}  // namespace trunkline
