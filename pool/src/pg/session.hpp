#pragma once

#include "handle.hpp"
#include "session_policy.hpp"

#include <trunkline/error.hpp>
#include <trunkline/log.hpp>
#include <trunkline/notification.hpp>
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
    busy,            ///< an operation is under way, or what is left of one is being ended
    broken,          ///< lost, or not worth mending: close it
};

/// How a session is when a lease ends.
enum class left : unsigned char {
    ready,    ///< the next may have it at once
    unclean,  ///< `session::mend` makes it clean
    broken,   ///< close it
};

struct batch;
struct hearing;

/// One operation on a session. It lives with its caller (in the coroutine's frame) until `complete` has been called.
struct operation {
    std::string_view sql;                  ///< followed by a NUL; must live as long as the operation
    const parameters* values = nullptr;    ///< null: none; must live as long as the operation
    batch* pieces = nullptr;               ///< a pipeline's statements, in the place of `sql` and `values`
    bool warms = false;                    ///< prepares what the pool uses most, and runs nothing
    bool is_transfer = false;              ///< a `transfer`: it lasts, and completes more than once
    bool is_pools = false;                 ///< the pool's own: it is not prepared
    bool is_unnamed = false;               ///< not prepared either: its text is another each time
    std::chrono::milliseconds timeout{0};  ///< from `start` to the outcome; 0: the policy's
    error_code code;                       ///< the outcome, set before `complete`
    diagnostics said;                      ///< with an error
    result rows;                           ///< without one
    /// Called on a thread of the session's executor, under no lock, never inside `session::start` or `cancel`, and with
    /// no other coroutine further up the stack. It may destroy the operation and start the next.
    void (*complete)(operation&) = nullptr;
    /// Called instead of `complete`, when the session or its execution context is destroyed before the outcome is known,
    /// on the thread that does so. It must not start anything. Null: nothing is told.
    void (*drop)(operation&) noexcept = nullptr;

    // The session's own, while it is under way:
    const char* name = nullptr;  ///< what it is prepared as; null: it is not
    std::size_t preparing = 0;   ///< statements prepared in front of it whose answers have not come
    bool is_copy = false;        ///< its first word says so
    bool is_settled = false;     ///< the server's time-out has been taken back in front of it
    bool plan_lost = false;      ///< it failed because of how it was prepared, and not by itself
};

/// Who waits for a notification; there is no statement.
struct hearing : operation {
    notification heard;  ///< without an error
};

/// An established session on Asio's reactor. Its socket is watched from `open` to `close`, so that the server's FATAL or
/// a close is seen at once, busy or idle. Any thread may call.
class session {
public:
    /// What the session's owner is told, on a thread of the executor, under no lock of the session's.
    struct events {
        /// Once, when the session ends before `close` was called: the server or the network ended it, a reset failed, or
        /// a statement that was given up did not end in time. The socket may still be open, until the server ends it;
        /// after `close` a second at most. Before the operations under way, if any, complete with their error. Not when a session turns `broken` under a lease's own statement (a COPY with too much to
        /// read, a cancellation beyond the limits): who returns the lease sees that.
        std::function<void(error_code, const diagnostics&)> lost;
        log_handler log;                           ///< the server's notices
        std::string pool;                          ///< for the log
        std::shared_ptr<session_policy> policy{};  ///< null: the defaults
    };

    /// Takes over a connection that has been dialed, and watches it. Throws `boost::system::system_error` if the process
    /// has no descriptor left.
    static std::shared_ptr<session> open(boost::asio::any_io_executor executor, connection_handle connection,
                                         events to);

    /// Starts an operation. It fails with `operation_in_progress` if another is under way. While the session is being
    /// mended after a cancellation one operation waits for its end; its time runs meanwhile.
    ///
    /// When the operation's time is over it fails with `query_timeout`, and the session goes on as after `cancel`. If the
    /// policy says so, the server is told the time too (`statement_timeout`, in the same round trip) and normally answers
    /// first; this side waits a quarter of the time longer, at least 20 ms and at most 250 ms, and then gives up by
    /// itself, whatever has become of the network.
    void start(operation& what) noexcept;
    /// Gives `what` the oldest notification that has come, if there is one, or `notifications_missed` where more had come
    /// than are kept.
    [[nodiscard]] bool take_notification(hearing& what) noexcept;
    /// Completes `what` as soon as `take_notification` would give it something, which it has then; with an error when
    /// none can come any more, or with `query_timeout`. `cancel` ends it. One may wait at a time, also while an operation is
    /// under way. Of a lease that has ended nothing is left.
    void hear(hearing& what) noexcept;

    /// Ends `what` at once with `operation_aborted` if it is still under way, and asks the server to stop. The session
    /// is `busy` until it is proven that no late signal of this request can hit a later statement; if that takes longer
    /// than `cancel_timeout`, it is lost. Otherwise nothing happens.
    void cancel(operation& what) noexcept;

    /// A lease ends. If a reset is due it has been sent when this returns `ready`; the next statement goes out behind it
    /// without waiting for the answer. No lock is taken and no system call made when there is nothing to do.
    [[nodiscard]] left end_use() noexcept;
    /// Makes the session clean and completes `what`, whose code is not set if that went well. What is under way fails
    /// with `lease_released`; what is left of it is read, a transaction is rolled back, and a reset that is due is sent,
    /// but not waited for. The session is `busy` meanwhile. Call it for a session that no lease uses any more.
    void mend(operation& what) noexcept;

    /// Without a lock or a system call.
    [[nodiscard]] session_state state() const noexcept;
    /// Whether the next may have it: idle, outside any transaction, nobody waiting for its notifications, its server in step and not turned read-only. Without
    /// a lock or a system call.
    [[nodiscard]] bool is_fit() const noexcept {
        return state() == session_state::clean && !is_read_only() && !is_heard();
    }
    /// Whether its server has turned read-only since the session was opened (a failover). Such a session is `broken` at
    /// the end of its lease; one that was read-only from the start is not.
    [[nodiscard]] bool is_read_only() const noexcept;
    /// Whether somebody waits for a notification.
    [[nodiscard]] bool is_heard() const noexcept;
    /// When the first operation since the last call of this was started, or nothing if there was none; without a lock.
    /// (The pool measures how long a lease was used, and reads no clock for a lease that ran nothing.)
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> take_first_use() noexcept;

    /// Says goodbye and calls `closed` once the server has ended the session (its end of the socket is closed), after
    /// 1 s at the latest; an operation under way fails with `reason` first. Later calls do nothing.
    void close(error_code reason, std::function<void()> closed) noexcept;

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
