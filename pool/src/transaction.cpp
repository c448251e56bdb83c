#include "core/decisions.hpp"
#include "pg/session.hpp"
#include "transaction_state.hpp"

#include <trunkline/transaction.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <random>

namespace trunkline {

namespace asio = boost::asio;

namespace {

/// What stands behind BEGIN. Throws `error`: `invalid_value`.
std::string modes_of(const transaction_options& options) {
    if (options.deferrable &&
        (options.isolation != isolation_level::serializable || options.access != access_mode::read_only)) {
        throw error{pool_errc::invalid_value,
                    "deferrable means something only for a serializable, read-only transaction"};
    }
    std::string modes;
    switch (options.isolation) {
    case isolation_level::server_default: break;
    case isolation_level::read_committed: modes += " ISOLATION LEVEL READ COMMITTED"; break;
    case isolation_level::repeatable_read: modes += " ISOLATION LEVEL REPEATABLE READ"; break;
    case isolation_level::serializable: modes += " ISOLATION LEVEL SERIALIZABLE"; break;
    }
    switch (options.access) {
    case access_mode::server_default: break;
    case access_mode::read_write: modes += " READ WRITE"; break;
    case access_mode::read_only: modes += " READ ONLY"; break;
    }
    modes += options.deferrable ? " DEFERRABLE" : "";
    return modes;
}

/// Whether the server has refused the statement, and the session goes on: then it has had no effect. Not so 08007 and
/// 40003, by which a server says that it does not know either.
bool is_refusal(const error& failure, const pg::session& on) noexcept {
    const auto code = failure.sqlstate();
    return !code.empty() && code != "08007" && code != "40003" && on.state() != pg::session_state::broken;
}

constexpr std::string_view in_failed_transaction = "25P02";  // what all but the end of a failed transaction is told

constexpr std::string_view no_such_savepoint = "3B001";

/// Whether nothing was sent, and everything is as it was.
bool was_not_sent(const error& failure) noexcept { return failure.code() == pool_errc::operation_in_progress; }

bool is_worth_repeating(const std::exception_ptr& why) {
    try {
        std::rethrow_exception(why);
    } catch (const boost::system::system_error& failure) {
        return failure.code() == sqlstate::serialization_failure || failure.code() == sqlstate::deadlock_detected;
    } catch (...) {
        return false;
    }
}

double random_share() {
    thread_local std::minstd_rand dice{std::random_device{}()};
    return std::uniform_real_distribution<double>{0.5, 1.0}(dice);
}

/// What a guard's statement asks in the last moment: whether it would run inside the transaction. Throws `error`:
/// `transaction_ended`.
void check_inside(detail::transaction_state& state, std::uint64_t level, const pg::session& on) {
    if (on.state() == pg::session_state::clean && !state.is_empty()) {
        state.end_all();
        throw error{pool_errc::transaction_ended, "a statement of the program's own has ended it"};
    }
    if (!state.is_open(level)) {
        throw error{pool_errc::transaction_ended, diagnostics{}};
    }
}

error unknown_commit(const std::optional<error>& failure, const std::string& tag) {
    if (failure) {
        return {pool_errc::commit_unknown, failure->what(), failure->server_diagnostics()};
    }
    return {pool_errc::commit_unknown, "the server answered \"" + tag + "\""};
}

}  // namespace

connection::~connection() { forget_transactions(); }

void connection::forget_transactions() noexcept {
    if (transactions_ != nullptr) {
        transactions_->set_connection(nullptr);
        transactions_.reset();
    }
}

void connection::inherit_transactions(connection& from) noexcept {
    forget_transactions();
    transactions_ = std::move(from.transactions_);
    if (transactions_ != nullptr) {
        transactions_->set_connection(this);
    }
}

bool connection::is_settled() const noexcept {
    return transactions_->owed() == transactions_->none && session_->state() != pg::session_state::busy;
}

/// Waits until nothing of a cancelled statement is left, and sends the rollbacks that are owed. Gives what remains of a
/// statement's time; 0 stays 0. Throws their error: then they are still owed.
asio::awaitable<std::chrono::milliseconds> connection::settle(std::chrono::milliseconds timeout) {
    using namespace std::chrono;
    const auto state = transactions_;
    const auto begun = steady_clock::now();
    const auto left = [&] {
        const auto rest = timeout - duration_cast<milliseconds>(steady_clock::now() - begun);
        return timeout.count() == 0 ? timeout : std::max(rest, milliseconds{1});
    };
    const auto send = [&](std::string sql) { return run_now(left(), std::move(sql), parameters{}, manner{}); };
    // After each wait the lease may have ended, and the connection may be another's.
    const auto check_lease = [&] {
        if (state->of() != this) {
            throw error{pool_errc::lease_released, diagnostics{}};
        }
    };
    if (session_->state() == pg::session_state::busy) {
        try {
            co_await send("");
        } catch (const error& failure) {
            if (failure.sqlstate() != in_failed_transaction) {
                throw;
            }
        }
        check_lease();
    }
    for (auto level = state->owed(); level != state->none; level = state->owed()) {
        if (session_->state() == pg::session_state::clean) {
            state->end_all();
            break;
        }
        const auto savepoint = state->savepoint(level);
        if (savepoint.empty()) {
            co_await send("ROLLBACK");
        } else {
            bool is_there = true;
            try {
                co_await send("ROLLBACK TO SAVEPOINT " + savepoint);
            } catch (const error& failure) {
                if (failure.sqlstate() != no_such_savepoint) {
                    throw;
                }
                is_there = false;  // and the transaction around it has failed by that: nothing of it is committed
            }
            check_lease();
            if (is_there) {
                co_await send("RELEASE SAVEPOINT " + savepoint);
            }
        }
        check_lease();
        state->end(level);
    }
    co_return left();
}

asio::awaitable<transaction> connection::begin(transaction_options options) {
    const auto modes = modes_of(options);
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    if (transactions_ == nullptr) {
        transactions_ = std::make_shared<detail::transaction_state>(*this);
    }
    const auto state = transactions_;
    auto timeout = options.timeout;
    if (!is_settled()) {
        timeout = co_await settle(timeout);
    }
    if (session_->state() == pg::session_state::clean) {
        state->end_all();  // a statement of the program's own has
    }
    const bool inside = session_->state() == pg::session_state::in_transaction;
    if (const transaction_options none{.timeout = options.timeout}; inside && options != none) {
        throw error{pool_errc::invalid_value, "a transaction is open: a savepoint inside it has no options"};
    }
    const auto level = state->open(inside);
    trunkline::transaction opened{state, level, inside};  // which from now on sees to the rollback
    const auto sql = inside ? "SAVEPOINT " + state->savepoint(level) : "BEGIN" + modes;
    const auto session = session_;
    try {
        co_await run_now(timeout, sql, parameters{}, manner{});
    } catch (const error& failure) {
        if (was_not_sent(failure) || is_refusal(failure, *session)) {
            state->end(level);
        }
        throw;
    } catch (const boost::system::system_error&) {  // Asio's, into a coroutine that was cancelled before
        state->end(level);
        throw;
    }
    co_return opened;
}

void transaction::abandon() noexcept {
    if (state_ != nullptr) {
        state_->abandon(level_);
    }
}

bool transaction::has_ended() const noexcept { return state_ != nullptr && !state_->is_open(level_); }

bool transaction::is_open() const noexcept {
    return state_ != nullptr && state_->of() != nullptr && state_->is_open(level_);
}

trunkline::connection& transaction::connection() const {
    if (state_ == nullptr || has_ended()) {
        throw error{pool_errc::transaction_ended, diagnostics{}};
    }
    if (state_->of() == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    return *state_->of();
}

asio::awaitable<result> transaction::run(query_options options, std::string sql, parameters values) {
    auto& on = connection();
    const auto state = state_;  // the guard may be moved, or destroyed, meanwhile
    const auto level = level_;
    if (!on.is_settled()) {
        options.timeout = co_await on.settle(options.timeout);
    }
    check_inside(*state, level, *on.session_);
    const trunkline::connection::manner how{.is_traced = !options.trace_parent.empty()};
    co_return co_await on.run_now(options.timeout, std::move(sql), std::move(values), how);
}

asio::awaitable<detail::transfer_handle> transaction::open(detail::transfer_sort sort, query_options options,
                                                           std::string sql, parameters values) {
    auto& on = connection();
    const auto state = state_;
    const auto level = level_;
    if (!on.is_settled()) {
        options.timeout = co_await on.settle(options.timeout);
    }
    check_inside(*state, level, *on.session_);
    co_return co_await on.open(sort, options, std::move(sql), std::move(values));
}

asio::awaitable<transaction> transaction::begin(std::chrono::milliseconds timeout) {
    auto& on = connection();
    const auto state = state_;
    const auto level = level_;
    if (!state->is_innermost(level)) {
        throw error{pool_errc::transaction_nested, diagnostics{}};
    }
    if (!on.is_settled()) {
        timeout = co_await on.settle(timeout);
    }
    check_inside(*state, level, *on.session_);
    const transaction_options options{.timeout = timeout};
    co_return co_await on.begin(options);
}

asio::awaitable<void> transaction::rollback(std::chrono::milliseconds timeout) {
    auto& on = connection();
    state_->abandon(level_);
    co_await on.settle(timeout);
}

asio::awaitable<void> transaction::commit(std::chrono::milliseconds timeout) {
    auto& on = connection();
    const auto state = state_;  // the guard may be moved, or destroyed, meanwhile
    const auto level = level_;
    const auto session = on.session_;
    if (!state->is_innermost(level)) {
        throw error{pool_errc::transaction_nested, diagnostics{}};
    }
    if (!on.is_settled()) {
        timeout = co_await on.settle(timeout);
    }
    check_inside(*state, level, *session);
    const auto before = session->state();
    const auto savepoint = state->savepoint(level);
    const auto sql = savepoint.empty() ? std::string{"COMMIT"} : "RELEASE SAVEPOINT " + savepoint;
    // What Asio itself throws into a coroutine that has been cancelled passes: it comes before anything is sent.
    std::optional<error> failure;
    std::string tag;
    try {
        const auto answer = co_await on.run_now(timeout, sql, parameters{}, trunkline::connection::manner{});
        tag = answer.command_tag();
    } catch (const error& failed) {
        failure = failed;
    }
    if (!failure && (tag == "COMMIT" || tag == "RELEASE")) {
        state->end(level);
        co_return;
    }
    if (failure && was_not_sent(*failure)) {
        throw *failure;
    }
    // Over for this side. If the server has ended it too, the connection sees that before it sends the rollback.
    state->abandon(level);
    if (tag == "ROLLBACK" || (failure && failure->sqlstate() == in_failed_transaction)) {
        throw error{pool_errc::transaction_aborted, diagnostics{}};
    }
    if (failure && (!savepoint.empty() || before == pg::session_state::broken || is_refusal(*failure, *session))) {
        throw *failure;
    }
    throw unknown_commit(failure, tag);
}

/// Whether the whole of its work can be done again: it is no part of another, and no statement has ended it, or may have.
bool transaction::is_whole() const noexcept {
    return !is_savepoint_ && is_open() && state_->of()->session_->state() == pg::session_state::in_transaction;
}

void detail::check(const retry_options& retry) {
    if (retry.attempts == 0 || retry.backoff_initial.count() < 0 || retry.backoff_max.count() < 0) {
        throw error{pool_errc::invalid_value, "retry: attempts must be at least 1, and no backoff negative"};
    }
}

asio::awaitable<void> detail::recover(failed_run& from, retry_options retry) {
    auto& of = from.of;
    bool again = from.runs < retry.attempts && is_worth_repeating(from.why) && of.level_ == from.level &&
                 (from.committing ? !of.is_savepoint() : of.is_whole());
    if (of.is_open()) {
        try {
            co_await of.rollback();
        } catch (const boost::system::system_error&) {
            again = false;  // `why` says more, and the connection still owes it
        }
    }
    if (!again) {
        std::rethrow_exception(from.why);
    }
    asio::steady_timer timer{co_await asio::this_coro::executor};
    timer.expires_after(core::backoff_delay(from.runs, retry.backoff_initial, retry.backoff_max, random_share()));
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace trunkline
