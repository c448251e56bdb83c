#pragma once

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
namespace trunkline::test::gates {

/// What the server does about what it has been asked, once the gate is reached.
enum class reply { ok, fail, hang };
/// How whoever waits at the gate is ended.
enum class ending {
    none,               ///< not at all
    cancelled,          ///< its coroutine, terminally
    pool_destroyed,     ///< and nothing else
    context_destroyed,  ///< the pool's; where the callers are at home, theirs too, and their coroutines with it
};
enum class order { reply_first, ending_first };
/// Whether callers run on an io_context of their own.
enum class callers { at_home, away };

struct variant {
    reply server;
    ending end;
    order which;
    callers where;
    [[nodiscard]] std::string text() const;
};

/// A pool on a scripted server, its callers, and who counts them. One thread runs everything but the server.
class stage {
public:
    /// What a coroutine of a test does; everything that it needs belongs to the stage.
    using part = std::function<boost::asio::awaitable<void>(stage&)>;

    stage(callers where, pool_hooks hooks, const std::function<void(pool_settings&)>& change);
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;
    ~stage();

    scripted_server server;
    std::optional<boost::asio::io_context> home{std::in_place, 1};  ///< the pool's
    std::optional<boost::asio::io_context> away;                    ///< the callers', unless they are at home
    std::optional<pool> lines;
    std::vector<lease> held;  ///< by nobody's coroutine

    /// Starts a coroutine that the ending is for.
    void play(part what);
    /// Starts one that no cancellation is for.
    void play_aside(part what);
    /// Runs both contexts until it holds; false if it does not in time.
    bool drive(const std::function<bool()>& holds);
    /// A connection is open and idle.
    void warm_up();
    /// Takes one that is idle.
    void hold_one();

    void end_by(ending how);
    /// Cancels every coroutine of `play`.
    void cancel();

    [[nodiscard]] std::size_t frames() const noexcept { return frames_; }        ///< coroutines that exist
    [[nodiscard]] std::size_t begun() const noexcept { return begun_; }          ///< coroutines so far
    [[nodiscard]] std::size_t completed() const noexcept { return completed_; }  ///< ended by themselves
    [[nodiscard]] bool twice() const noexcept { return twice_; }                 ///< one ended more than once

private:
    struct actor;

    void spawn(part what, bool cancellable);
    boost::asio::io_context& callers_context() { return away ? *away : *home; }

    std::vector<std::unique_ptr<boost::asio::cancellation_signal>> stops_;
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
    bool closes = false;  ///< the pool is not used any more
};

/// Held answers are sent, or the connections end, or nothing more is said on them.
void answer_all(stage& at, reply how);

/// Goes through every variant at that gate.
void pass(const gate& at);

}  // namespace trunkline::test::gates
