#pragma once

#include "acquire_operation.hpp"
#include "guarded_machine.hpp"
#include "hook_run.hpp"
#include "metrics/sharded_histogram.hpp"
#include "pg/dialer.hpp"
#include "pg/fork_guard.hpp"
#include "pg/session_policy.hpp"
#include "pool_timer.hpp"
#include "pooled_connection.hpp"
#include "resumption/suspension.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/slist.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace trunkline::detail {

/// Everything of a pool that leases, waiters and sessions may outlive the `pool` object with. It takes the core's
/// actions and carries them out, under no lock.
class pool_impl final : public std::enable_shared_from_this<pool_impl>, public hook_run::owner {
public:
    /// A coroutine that waits for the end of a warm-up or of a close: a part of its frame.
    struct ending : boost::intrusive::slist_base_hook<> {
        suspension sleeper;
        error_code code;
    };

    pool_impl(boost::asio::any_io_executor executor, pool_settings settings, pool_hooks hooks);
    pool_impl(const pool_impl&) = delete;
    pool_impl& operator=(const pool_impl&) = delete;
    ~pool_impl();

    /// In the child of a fork the pool belongs to the parent: nothing of it may be touched, for the reactor's descriptors
    /// are shared, and a lock may be held by a thread that is not here.
    [[nodiscard]] bool is_inherited() const noexcept { return pg::forked_since(born_); }

    /// A connection at once, or null.
    [[nodiscard]] pooled_connection* try_acquire(const source_location& where) noexcept;
    /// Sets what an acquire asks for, and since when.
    void prepare(acquire_operation& op, const acquire_options& options) const noexcept;
    /// Queues `op` until its deadline; it may be told at once, but never inside this call.
    void wait(acquire_operation& op) noexcept;
    /// `op`'s caller gives up; nothing happens if it has been settled.
    void cancel(acquire_operation& op) noexcept;
    /// `op` is granted: its connection, the wait counted. Called by the caller's thread when it resumes.
    [[nodiscard]] pooled_connection& granted(acquire_operation& op, const source_location& where) noexcept;
    /// `op` ended without a connection: counts the wait.
    void count_wait(core::time_point since) noexcept;

    void take_back(pooled_connection& c, bool discard) noexcept;
    /// A lease keeps its session for ever: forgets `c`.
    void let_go(pooled_connection& c) noexcept;

    /// Begins the warm-up; `done` is told at its end.
    void start(ending& done) noexcept;
    /// The first call says that the pool is draining; gives when it is to be closed.
    core::time_point drain() noexcept;
    /// Begins to close at `when`; `done` is told when every session has ended.
    void close_at(core::time_point when, std::chrono::milliseconds grace, ending& done) noexcept;
    /// The pool object goes away.
    void abandon() noexcept;
    /// The execution context goes away: drops waiters and sessions without telling anybody.
    void shutdown() noexcept;

    void reconfigure(pool_settings settings);
    void rotate();
    void evict(const std::function<bool(const connection_info&)>& chosen);
    void suspend(suspend_options options);
    void resume();

    [[nodiscard]] pool_stats stats() const noexcept;
    [[nodiscard]] std::vector<lease_holder> holders() const;
    [[nodiscard]] pool_state state() const noexcept;
    [[nodiscard]] std::shared_ptr<const pool_settings> settings() const;
    [[nodiscard]] std::shared_ptr<const connect_failure> last_connect_error() const;
    /// What `start` throws.
    [[nodiscard]] error start_error(const error_code& code) const;
    [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    using endings = boost::intrusive::slist<ending, boost::intrusive::cache_last<true>>;

    [[nodiscard]] core::slot* place_of(const lease& held) const noexcept;
    [[nodiscard]] static std::string place_text(const pooled_connection& c);

    // what the core decided (pool_actions.cpp)
    void carry_out(core::actions& decided) noexcept;
    void carry_out(const core::command& next);
    void on_failed(const core::command& what, const std::exception& why) noexcept;
    [[nodiscard]] boost::intrusive_ptr<const refusal> refusal_now() const noexcept;
    [[nodiscard]] pool_counts counts() const noexcept;
    void tell(core::waiter_list& settled) noexcept;
    void arm(core::time_point wake) noexcept;
    void on_timer() noexcept;
    void close_connection(core::slot& s, core::leave_reason why);
    void on_lost(core::slot& s, std::uint64_t serial, const error_code& code, const diagnostics& said);
    void on_closed(core::slot& s);
    void on_warmed(core::warm_up how) noexcept;
    void on_finished() noexcept;
    static void complete(endings& which, const error_code& code) noexcept;
    void report_leak(core::slot& s);
    [[nodiscard]] std::shared_ptr<pool_impl> kept_for(const core::machine& core, const core::actions& decided);
    /// `words` are put together only if somebody listens.
    template <typename Words>
    void log(log_level level, Words words) const noexcept {
        if (!hooks_.log) {
            return;
        }
        try {
            const std::string message = words();
            const auto current = settings();
            hooks_.log({level, current->name, message});
        } catch (...) {  // a log that fails must not take the pool with it: promised in log.hpp
        }
    }

    // dials (pool_dials.cpp)
    struct arrival;
    void dial(core::slot& s);
    void abort_dials() noexcept;
    void on_dialed(core::slot& s, core::time_point began, pg::dialed what);
    void on_open(core::slot& s, core::time_point began, pg::connection_handle opened);
    void on_refused(core::slot& s, pg::dialed what) noexcept;
    void note_failure(pg::dialed what, core::dial_failure kind);
    [[nodiscard]] std::unique_ptr<pooled_connection> adopt(core::slot& s, pg::connection_handle opened);

    // tasks (pool_tasks.cpp)
    void work(core::slot& s, core::task doing);
    static pg::operation& errand_for(pooled_connection& c, const char* sql);
    static void run_errand(pooled_connection& c, const char* sql);
    void warm_up(pooled_connection& c);
    void on_prepared(pooled_connection& c);
    void mend(pooled_connection& c);
    void on_errand_done(pooled_connection& c);
    void on_errand_dropped(pooled_connection& c) noexcept;
    void go_on(pooled_connection& c, core::task doing);
    void run_hook(pooled_connection& c, const connection_hook& hook);
    void on_hook_done(pooled_connection& c, hook_outcome how, const std::string& why) override;
    void on_hook_dropped(pooled_connection& c) noexcept override;
    [[nodiscard]] core::task task_of(const pooled_connection& c) noexcept;
    void note_unprepared(std::string_view why) noexcept;
    void forget_failure() noexcept;
    void finish_task(pooled_connection& c, core::verdict how);
    void take_server_limits(const result& rows);

    const unsigned born_ = pg::fork_generation();
    const boost::asio::any_io_executor executor_;
    const pool_hooks hooks_;
    guarded_machine machine_;
    pool_timer timer_;
    std::atomic<std::chrono::milliseconds::rep>
        acquire_timeout_;  // in milliseconds; beside `settings_`, so that waiters need no lock
    metrics::sharded_histogram waits_, uses_, dials_;
    std::atomic<bool> reads_clock_;  // whenever a lease comes back: something depends on the time of it
    const std::shared_ptr<pg::session_policy> policy_;

    std::atomic<bool> closing_{false};
    std::atomic<bool> gone_{false};  // the execution context is being destroyed
    std::atomic<core::time_point::rep> closes_at_{core::never.time_since_epoch().count()};  // `drain` has been called
    std::mutex reconfigure_mutex_;  // taken before any other: two calls at once must not mix their settings

    mutable std::mutex state_mutex_;  // guards what follows; nothing else is locked meanwhile
    std::shared_ptr<const pool_settings> settings_;
    std::shared_ptr<const pg::conninfo> where_;
    std::shared_ptr<const connect_failure> last_connect_error_;
    endings starters_;
    endings closers_;
    boost::asio::any_io_executor work_;  // keeps run() busy until the pool is closed
    bool finished_ = false;
    std::uint64_t serials_ = 0;

    std::shared_ptr<pool_impl> while_lent_out_;        // under the core's lock: leases outlive the pool object
    std::optional<pg::dialer> dialer_{std::in_place};  // empty once the execution context is gone
};

}  // namespace trunkline::detail
