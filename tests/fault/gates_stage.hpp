#pragma once

#include "support/fault_proxy.hpp"
#include "support/scripted_server.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// SA-2: whoever waits is ended at every point where it can wait, whatever the server does meanwhile.
///
/// Where somebody or something of the pool's waits (`co_await`, `until`, `async_wait`, `post` and `dispatch` in pool/src),
/// and the gates that stop there (A: gates_acquire_test.cpp, Q: query, R: release, C: close):
///
/// acquire.cpp, `acquire_from` and `waiting_callback`: the queue. What is waited for behind it:
///     a lease of somebody else's                  A queued (coroutine, callback), C leases
///     `resume()`                                  A suspended
///     a dial, its outcome, the pause after it     A dial, dialed, backoff; C dial
///     a new connection's preparation              A on_connect, limits
///     a check; a keepalive                        A check, before_acquire, hook (not begun), keepalive
///     what the last lease left                    R mend, absorb, rollback, taken away, after_release; C mend
///     room, while a connection is being closed    A closing, before_close; R discarded
///     `preclose_delay`                            C draining
/// acquire.cpp, `tell` and `post`: the wake-up     A granted (three), refused
/// pool.cpp, `query_with`: an acquire, a query     Q sent by the pool
/// pool.cpp, `start`; its completion's two hops    A start, started; C start
/// pool.cpp, `close`: until `close_at`             C draining
///     until every session has ended               C leases, queries, dial, mend, start, before_close, goodbye
///     its completion's two hops                   C closed (two)
/// connection.cpp, `run`: until it is sent         Q parked, asking, writing
///     until it is answered                        Q sent, behind a SET, partly answered, COPY; R reset; C queries
///     `tell_later`, `dispatch`: the outcome       Q cancelled, refused, timed out; R taken away
/// session_mend.cpp, the request to stop           Q parked, being stopped, asking; R mend
/// hook_run.cpp, each hook: its strand, its body   A hook, before_acquire, on_connect, before_close; R after_release;
///                                                 C before_close
/// session_link.cpp, the goodbye                   A closing; R discarded; C goodbye
/// pg/dial.cpp, the socket and the time of a step  A dial; C dial, start. The look-up of a name, which nothing here can
///                                                 hold up, stands before the same wait of the same dialer.
namespace trunkline::test::gates {

/// What the server does about what it has been asked, once the gate is reached.
enum class reply { ok, fail, hang };
/// How whoever waits at the gate is ended.
enum class ending {
    none,               ///< not at all
    cancelled,          ///< its coroutine, terminally
    pool_destroyed,     ///< and nothing else
    context_destroyed,  ///< the pool's; where the callers are at home, theirs too, and their coroutines with it
    callers_destroyed,  ///< the callers' io_context, and their coroutines with it; only where they wait for nothing more
};
/// Which of them comes first.
enum class order { reply_first, ending_first };
/// Whether who is at a gate hears of a cancellation there.
enum class heed {
    always,
    maybe,
    never,  ///< it cannot be cancelled, or has its outcome
};
/// Whether callers run on an io_context of their own.
enum class callers { at_home, away };

struct variant {
    reply server;
    ending end;
    order which;
    callers where;
    [[nodiscard]] std::string text() const;
};

struct gate;

/// A pool on a scripted server, its callers, and who counts them. One thread runs everything but the server.
class stage {
public:
    /// What a coroutine of a test does; everything that it needs belongs to the stage.
    using part = std::function<boost::asio::awaitable<void>(stage&)>;

    stage(const gate& at, const variant& how);
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;
    ~stage();

    scripted_server server;
    std::optional<fault_proxy> line;                                ///< before the server, if the gate asks for it
    std::optional<boost::asio::io_context> home{std::in_place, 1};  ///< the pool's
    std::optional<boost::asio::io_context> away;                    ///< the callers', unless they are at home
    std::optional<pool> lines;
    std::vector<lease> held;  ///< by nobody's coroutine
    bool reached = false;     ///< a coroutine says that its next step is the gate
    std::size_t notices = 0;  ///< of the server's, as the pool has told them

    /// Starts a coroutine that the ending is for.
    void play(part what);
    /// Starts one that no cancellation is for.
    void play_aside(part what);
    /// Runs both contexts until it holds; false if it does not in time.
    bool drive(const std::function<bool()>& holds);
    /// Runs the callers' context handler by handler until it holds. What is posted by then stays in its queue.
    bool drive_callers(const std::function<bool()>& holds);
    /// The same with the pool's.
    bool drive_home(const std::function<bool()>& holds);
    /// A connection is open and idle.
    void warm_up();
    /// Takes one that is idle.
    void hold_one();

    void end_by(ending how);
    /// Cancels every coroutine of `play`; they hear of it when their context runs.
    void cancel();
    /// The same, and they have heard of it.
    void cancel_now();

    [[nodiscard]] std::size_t frames() const noexcept { return frames_; }        ///< coroutines that exist
    [[nodiscard]] std::size_t begun() const noexcept { return begun_; }          ///< coroutines so far
    [[nodiscard]] std::size_t completed() const noexcept { return completed_; }  ///< ended by themselves
    [[nodiscard]] bool twice() const noexcept { return twice_; }                 ///< one ended more than once
    /// How many coroutines of `play` have ended as cancelled.
    [[nodiscard]] std::size_t cancelled() const noexcept { return cancelled_; }
    [[nodiscard]] std::size_t cancellable() const noexcept { return stops_.size(); }
    /// Lives as long as anything of the pool's does.
    [[nodiscard]] std::weak_ptr<void> remains() const noexcept { return witness_; }

private:
    struct actor;

    void spawn(part what, bool cancellable);
    boost::asio::io_context& callers_context() { return away ? *away : *home; }

    std::vector<std::unique_ptr<boost::asio::cancellation_signal>> stops_;
    std::shared_ptr<void> witness_ = std::make_shared<int>();
    std::size_t cancelled_ = 0;
    std::size_t frames_ = 0;
    std::size_t begun_ = 0;
    std::size_t completed_ = 0;
    bool twice_ = false;
};

/// A point where somebody waits.
struct gate {
    const char* name;
    /// Goes there. From then on the server answers nothing until `answer`.
    std::function<void(stage&, reply)> reach;
    std::function<void(stage&, reply)> answer{};  ///< empty: `answer_all`
    std::function<void(pool_settings&)> settings{};
    pool_hooks hooks{};
    bool by_proxy = false;  ///< `stage::line`
    bool closes = false;    ///< the pool is not used any more
    heed cancellation = heed::always;
    bool told = false;  ///< who is there has its outcome: its wake-up lies in its own context's queue
};

/// Held answers are sent, or the connections end, or nothing more is said on them.
void answer_all(stage& at, reply how);

/// Goes through every variant at that gate.
void pass(const gate& at);

}  // namespace trunkline::test::gates
