#pragma once

#include "handle.hpp"

#include <trunkline/error.hpp>
#include <trunkline/log.hpp>
#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace trunkline::pg {

/// How a session stands between two operations.
enum class session_state : unsigned char {
    clean,           ///< idle, outside any transaction: the next may have it
    in_transaction,  ///< idle inside a transaction, maybe a failed one: a ROLLBACK cleans it
    busy,            ///< an operation is under way
    broken,          ///< lost, cancelled, or in a state that is not worth mending: close it
};

/// One operation on a session. It lives with its caller (in the coroutine's frame) until `complete` has been called.
struct operation {
    std::string_view sql;                ///< followed by a NUL; must live as long as the operation
    const parameters* values = nullptr;  ///< null: none; must live as long as the operation
    error_code code;                     ///< the outcome, set before `complete`
    diagnostics said;                    ///< with an error
    result rows;                         ///< without one
    /// Called on a thread of the session's executor, under no lock, never inside `session::start` or `cancel`, and with
    /// no other coroutine further up the stack. It may destroy the operation and start the next.
    void (*complete)(operation&) = nullptr;
    /// Called instead of `complete`, when the session or its execution context is destroyed before the outcome is known,
    /// on the thread that does so. It must not start anything. Null: nothing is told.
    void (*drop)(operation&) noexcept = nullptr;
};

/// An established session on Asio's reactor. Its socket is watched from `open` to `close`, so that the server's FATAL or
/// a close is seen at once, busy or idle. Any thread may call.
class session {
public:
    /// What the session's owner is told, on a thread of the executor, under no lock of the session's.
    struct events {
        /// Once, when the server or the network ends the session before `close` was called; after the operation under
        /// way, if any, has completed with its error. Not after `cancel` and COPY, which leave it `broken`.
        std::function<void(error_code, const diagnostics&)> lost;
        log_handler log;   ///< the server's notices
        std::string pool;  ///< for the log
    };

    /// Takes over a connection that has been dialed, and watches it. Throws `boost::system::system_error` if the process
    /// has no descriptor left.
    static std::shared_ptr<session> open(boost::asio::any_io_executor executor, connection_handle connection,
                                         events to);

    /// Starts an operation. It fails with `operation_in_progress` if another is under way.
    void start(operation& what);
    /// Ends `what` at once with `operation_aborted` if it is still under way, asks the server to stop, and leaves the
    /// session `broken`. Otherwise nothing happens.
    void cancel(operation& what);

    /// Without a lock or a system call.
    [[nodiscard]] session_state state() const noexcept;
    /// When the first operation since the last call of this was started, or nothing if there was none; without a lock.
    /// (The pool measures how long a lease was used, and reads no clock for a lease that ran nothing.)
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> take_first_use() noexcept;

    /// Says goodbye and calls `closed` once the server has ended the session (its end of the socket is closed), after
    /// 1 s at the latest; an operation under way fails with `reason` first. Later calls do nothing.
    void close(error_code reason, std::function<void()> closed);

    [[nodiscard]] int backend_pid() const noexcept;
    /// Empty once the session is closed or lost.
    [[nodiscard]] std::string server_parameter(const char* name) const;

    class link;
    explicit session(std::shared_ptr<link> to) noexcept : link_{std::move(to)} {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    /// Without `close`: hangs up at once.
    ~session();

private:
    const std::shared_ptr<link> link_;  // shared with the waits of its socket, which may end later
};

}  // namespace trunkline::pg
