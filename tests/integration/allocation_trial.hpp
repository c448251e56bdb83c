#pragma once

#include "pool_fixture.hpp"
#include "support/allocation_counter.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trunkline::test {

/// One pool on one thread, and what is tried on it while an allocation fails.
class trial {
public:
    using milliseconds = std::chrono::milliseconds;

    trial(pool_settings by, pool_hooks hooks);
    trial(const trial&) = delete;
    trial& operator=(const trial&) = delete;
    ~trial();

    const std::size_t max;
    boost::asio::io_context context{1};
    /// Of another type than an io_context's own, so that each hop to it asks for memory.
    boost::asio::any_io_executor other{
        boost::asio::require(context.get_executor(), boost::asio::execution::relationship.continuation)};
    std::optional<pool> lines;
    std::vector<lease> held;
    std::size_t begun = 0;
    std::size_t ended = 0;
    std::size_t refused = 0;           // of those that ended, or did not begin
    std::vector<std::string> strange;  // errors that no caller should see

    struct manner {
        milliseconds patience{400};
        bool elsewhere = false;     // on `other`
        bool keep = true;           // hold the lease; else it goes back at once
        const char* sql = nullptr;  // a coroutine's statement
    };
    /// An acquire with a callback. It ends, or never begins.
    void acquire(const manner& how);
    void acquire_by_coroutine(const manner& how);

    /// Asio's own part of a coroutine's beginning is spared. At its end co_spawn asks for memory once more, and throws
    /// out of the context if there is none; the coroutine has ended by then.
    template <typename Body>
    void spawn(Body body) {
        spawn(context.get_executor(), std::move(body));
    }
    template <typename Body>
    void spawn(boost::asio::any_io_executor where, Body body) {
        bool entered = false;
        auto judged = [this, body, &entered]() -> boost::asio::awaitable<void> {
            entered = true;
            co_await boost::asio::post(boost::asio::deferred);
            std::exception_ptr failed;
            try {
                co_await body();
            } catch (...) {
                failed = std::current_exception();
            }
            judge(failed);
        };
        const unfailing_allocations test;
        ++begun;
        auto& stop = stops_.emplace_back();
        boost::asio::co_spawn(where, std::move(judged),
                              boost::asio::bind_cancellation_slot(stop.slot(), boost::asio::detached));
        (void)drive([&] { return entered; });
    }

    /// Until it holds; whatever the pool's handlers throw is thrown here. False: not in time.
    bool drive(const std::function<bool()>& holds, milliseconds within = std::chrono::seconds{10});
    void drive_to_the_end() {
        (void)drive([this] { return ended == begun; }, std::chrono::seconds{1});
    }
    void open(std::size_t number);

    /// With memory again: everybody has been told, once, and the pool is whole.
    void check();
    /// No slot is lost: all that there is room for can be had at once.
    void check_room();
    void close();

private:
    void judge(const std::exception_ptr& failed);
    void judge(const error_code& code);

    std::list<boost::asio::cancellation_signal> stops_;  // never emitted: that they could be is what needs memory
    std::list<diagnostics> stories_;
};

struct experiment {
    std::function<void(trial&)> prepare = [](trial& on) { (void)on; };
    std::function<void(trial&)> attempt;
    std::function<void(trial&)> check = [](trial& on) { on.check(); };
    std::size_t min = 0;
    std::size_t max = 2;
    pool_hooks hooks{};
    std::uint64_t failures = 1;  // in a row
    whose threads = whose::all_threads;
    bool begins_itself = false;  // by `begin_to_fail`
    bool of_libpq = false;       // it alone allocates, which under a sanitizer does not fail
};

/// Runs the attempt with the first, the second, … allocation failing, until one run needs fewer.
void exhaust(const char* what, const experiment& by);

/// What `exhaust` does before an attempt, unless `begins_itself`. Once an attempt.
void begin_to_fail();

/// What several experiments attempt.
inline void acquire_once(trial& on) {
    on.acquire_by_coroutine({});
    on.drive_to_the_end();
}
inline void call_back_once(trial& on) {
    on.acquire({});
    on.drive_to_the_end();
}
inline constexpr std::size_t more_than_fit_inline = 6;  // of the core's commands in one event

/// Settings of a pool whose sessions `sessions_of_trials` counts.
pool_settings settings_of_trials(std::size_t min, std::size_t max);
std::size_t sessions_of_trials();

}  // namespace trunkline::test
