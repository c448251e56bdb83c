#pragma once

#include <trunkline/sqlstate.hpp>
#include <trunkline/stats.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace trunkline {

using boost::system::error_code;

/// What the pool itself says, the server having said nothing.
enum class pool_errc {
    acquire_timeout = 1,    ///< no connection within the time given: see the counts; shed load, or raise `size.max`
    queue_full,             ///< `acquire.max_waiting` callers wait already: shed load
    closed,                 ///< the pool is closed or was closed meanwhile: stop asking
    overloaded,             ///< callers have waited too long for too long (`acquire.shed_target`): shed load
    suspended,              ///< the time was over while the pool was suspended: somebody must call `resume()`
    would_deadlock,         ///< all who hold a connection wait for another one: acquire once, or in one place
    unavailable,            ///< no connection can be opened, and waiting would not help: see `last_connect_error()`
    auth_failed,            ///< the server refuses user or password: see `last_connect_error()`
    too_many_connections,   ///< the server has no room for a first connection: see `last_connect_error()`
    refused_by_hook,        ///< the program's `before_acquire` hook refused the caller
    connect_timeout,        ///< a dial took longer than `connect.timeout`: is the server reachable?
    host_not_found,         ///< a host's name could not be resolved
    connect_failed,         ///< the network, TLS or libpq refused the connection; the message says which
    connection_lost,        ///< the connection broke while a statement was under way; its outcome is unknown
    operation_in_progress,  ///< the connection runs another statement: await one before you start the next
    query_timeout,          ///< the statement's time was over; the server was asked to stop it
    lease_released,         ///< the lease holds no connection: it was released, moved from, or never filled
    lease_expired,          ///< the lease was older than `lease.timeout`: return it, and shorten the work
    too_large,              ///< a statement or parameter is longer than the protocol allows; nothing was sent
    invalid_text,           ///< a statement or text parameter holds a NUL byte; nothing was sent
    too_many_parameters,    ///< more than 65,535 parameters; nothing was sent
    unsupported_statement,  ///< COPY through `query()`, another one through `copy_in`; the connection goes on, if too much need not be read
    wrong_type,            ///< a column's type does not fit the C++ type asked for
    unexpected_null,       ///< NULL, and the C++ type asked for has no room for it: use `std::optional`
    no_such_column,        ///< the result has no column of that name or number
    value_out_of_range,    ///< the value does not fit the C++ type asked for
    invalid_value,         ///< a parameter's or an option's value is none of its type (30 February); nothing was sent
    no_such_row,           ///< the result has no row of that number
    pipeline_aborted,      ///< another statement of its atomic pipeline failed: this one is undone, or did not run
    transaction_ended,     ///< the transaction is over: it was committed, rolled back, or ended by a statement
    transaction_nested,    ///< an inner transaction is open: commit it or roll it back first; nothing was sent
    transaction_aborted,   ///< a statement in it had failed, so its COMMIT rolled it back: see that statement's error
    commit_unknown,        ///< the COMMIT has no answer: it happened, or will, or not. Do it again under a key only
    notifications_missed,  ///< more came than are kept: look at what they are about, and ask for them more often
    copy_ended,            ///< the COPY was finished, undone or never begun: nothing was sent
};

/// What to do about an error, whoever raised it: compare an `error_code` with these.
enum class errc {
    retryable = 1,       ///< the same work, done again from its start, may well succeed (40001, 40P01, …)
    connection_lost,     ///< the session is gone; what was under way may or may not have happened
    overloaded,          ///< too much work for what there is: slow down (53xxx, acquire_timeout, queue_full)
    login_refused,       ///< user, password or database are wrong: retrying does not help (28xxx, 3D000, auth_failed)
    server_unavailable,  ///< the server cannot be reached, starts or stops: wait
};

const boost::system::error_category& pool_category() noexcept;
const boost::system::error_category& condition_category() noexcept;

inline error_code make_error_code(pool_errc code) noexcept { return {static_cast<int>(code), pool_category()}; }
inline boost::system::error_condition make_error_condition(errc condition) noexcept {
    return {static_cast<int>(condition), condition_category()};
}

/// What a server (or libpq) says about an error. Fields that it did not send are empty.
struct diagnostics {
    std::string severity;    ///< ERROR, FATAL, PANIC; for a notice WARNING, NOTICE, …
    std::string sqlstate;    ///< five characters
    std::string message;     ///< the primary message
    std::string detail;      ///< more about it
    std::string hint;        ///< what to do
    std::string constraint;  ///< the constraint that refused
    std::string schema;      ///< of the object concerned
    std::string table;       ///< the table concerned
    std::string column;      ///< the column concerned
    int position = 0;        ///< character of the statement where the error is, from 1; 0: not known
};

/// Any failure of Trunkline's: an `error_code` and what the server said. Its `what()` is the whole story in one line.
class error : public boost::system::system_error {
public:
    error(error_code code, diagnostics what_the_server_said);
    /// Of that statement, whose first 1,000 bytes are kept.
    error(error_code code, diagnostics what_the_server_said, std::string_view statement);
    error(error_code code, const std::string& context, diagnostics what_the_server_said = {});

    [[nodiscard]] const char* what() const noexcept override { return story_->what.c_str(); }
    [[nodiscard]] std::string_view sqlstate() const noexcept { return story_->said.sqlstate; }
    [[nodiscard]] std::string_view message() const noexcept { return story_->said.message; }
    [[nodiscard]] std::string_view detail() const noexcept { return story_->said.detail; }
    [[nodiscard]] std::string_view hint() const noexcept { return story_->said.hint; }
    [[nodiscard]] std::string_view constraint() const noexcept { return story_->said.constraint; }
    [[nodiscard]] int position() const noexcept { return story_->said.position; }
    /// The statement that the server refused, up to 1,000 bytes of it, without its parameters; empty if it was none.
    [[nodiscard]] std::string_view statement() const noexcept { return story_->statement; }
    [[nodiscard]] const diagnostics& server_diagnostics() const noexcept { return story_->said; }

private:
    struct story {
        diagnostics said;
        std::string what;
        std::string statement{};
    };
    std::shared_ptr<const story> story_;  // shared, so that copying the exception cannot throw
};

/// The latest dial that failed.
struct connect_failure {
    error_code code;                               ///< a `sqlstate`, a `pool_errc` or the system's
    std::string message;                           ///< the server's or the network's own words, with the host
    std::string sqlstate;                          ///< empty if no server answered
    std::chrono::steady_clock::time_point when{};  ///< when it failed
};

/// Why `acquire` gave no lease. `what()` carries the reason, the wait, the counts and the last connect error.
class acquire_error : public error {
public:
    acquire_error(pool_errc reason, std::string_view pool_name, std::chrono::nanoseconds waited,
                  const pool_counts& counts, std::shared_ptr<const connect_failure> last);

    [[nodiscard]] pool_errc reason() const noexcept { return reason_; }
    /// From the call to the failure.
    [[nodiscard]] std::chrono::nanoseconds waited() const noexcept { return waited_; }
    /// The latest failed dial since the last that succeeded, or null if there was none.
    [[nodiscard]] const connect_failure* last_connect_error() const noexcept { return last_.get(); }
    /// How the pool stood at the moment of the failure.
    [[nodiscard]] const pool_counts& stats() const noexcept { return counts_; }

private:
    pool_errc reason_;
    std::chrono::nanoseconds waited_;
    pool_counts counts_;
    std::shared_ptr<const connect_failure> last_;
};

}  // namespace trunkline

template <>
struct boost::system::is_error_code_enum<trunkline::pool_errc> : std::true_type {};
template <>
struct boost::system::is_error_condition_enum<trunkline::errc> : std::true_type {};
