#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <memory>
#include <optional>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

// Hooks whose time is over, and hooks that meet the end of their pool.

namespace {

enum class place { on_connect, before_acquire, after_release, before_close };

connection_hook& hook_of(pool_hooks& hooks, place where) {
    switch (where) {
    case place::on_connect: return hooks.on_connect;
    case place::before_acquire: return hooks.before_acquire;
    case place::after_release: return hooks.after_release;
    case place::before_close: break;
    }
    return hooks.before_close;
}

/// A hook that ends when it is allowed to and not before: cancellation does not reach it.
struct stubborn_hook {
    bool allowed = false;
    int begun = 0;
    int ended = 0;
    error_code last_words;  ///< of its statement, long after its time

    asio::awaitable<hook_outcome> operator()(connection& c) {
        const int number = ++begun;
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        if (number == 1) {
            while (!allowed) {
                co_await pause(2ms);
            }
            last_words = co_await outcome_of(c, "SELECT 1");
        }
        ++ended;
        co_return hook_outcome::keep;
    }

    connection_hook bound() {
        return [this](connection& c) { return (*this)(c); };
    }
};

/// A hook that waits until it is cancelled, and says that it was.
struct waiting_hook {
    int begun = 0;
    int cancelled = 0;
    bool asks_the_server = false;

    asio::awaitable<hook_outcome> operator()(connection& c) {
        ++begun;
        try {
            if (asks_the_server) {
                co_await c.query("SELECT pg_sleep(600)");
            } else {
                asio::steady_timer forever{co_await asio::this_coro::executor};
                forever.expires_at(steady_clock::time_point::max());
                co_await forever.async_wait(asio::use_awaitable);
            }
        } catch (const boost::system::system_error&) {
            ++cancelled;
            throw;
        }
        co_return hook_outcome::keep;
    }

    connection_hook bound() {
        return [this](connection& c) { return (*this)(c); };
    }
};

pool_settings short_hooks(const std::string& application, std::chrono::milliseconds time) {
    auto settings = fixture::settings(application, {.min = 0, .max = 1});
    settings.connect.backoff_initial = 10ms;
    settings.connect.backoff_max = 20ms;
    settings.acquire.timeout = time + 60s;  // a hook that could take all of it is refused
    settings.validation.timeout = 50ms;
    settings.query.cancel_timeout = 50ms;
    settings.lifetime.rollback_timeout = 50ms;
    settings.hooks = {.on_connect_timeout = time,
                      .before_acquire_timeout = time,
                      .after_release_timeout = time,
                      .before_close_timeout = time};
    return settings;
}

}  // namespace

TEST_CASE("LC-8: a hook that ignores its cancellation costs its connection and nothing else") {
    const auto where = GENERATE(place::on_connect, place::before_acquire, place::after_release, place::before_close);
    asio::io_context context;
    stubborn_hook hook;
    pool_hooks hooks;
    hook_of(hooks, where) = hook.bound();
    pool pool{context.get_executor(), short_hooks("stubborn", 50ms), hooks};
    std::size_t served = 0;
    std::size_t sessions_meanwhile = 0;
    run(context, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 5; ++i) {
            auto held = co_await pool.acquire();
            ++served;
            if (where == place::before_close && i == 0) {
                held.discard();
            }
        }
        CHECK(hook.begun >= 1);
        CHECK(hook.ended == hook.begun - 1);
        sessions_meanwhile = fixture::sessions("stubborn");
        co_await pool.close(1s);
        hook.allowed = true;  // the pool is closed, and the hook still there
    });
    CHECK(served == 5);
    CHECK(sessions_meanwhile <= 1);
    CHECK(hook.ended == hook.begun);
    CHECK(hook.last_words);
    CHECK(fixture::sessions("stubborn") == 0);
}

TEST_CASE("LC-8, SH-2: close cancels the hooks that run, and ends without waiting for their time") {
    const auto where = GENERATE(place::on_connect, place::before_acquire, place::after_release);
    const bool asks_the_server = GENERATE(false, true);
    asio::io_context context;
    waiting_hook hook{.asks_the_server = asks_the_server};
    pool_hooks hooks;
    hook_of(hooks, where) = hook.bound();
    auto settings = short_hooks("hook_and_close", 600s);
    settings.query.cancel_timeout = 5s;  // a hook's statement is stopped, however slow the machine
    pool pool{context.get_executor(), settings, hooks};
    std::shared_ptr<const acquire_error> told;
    const auto caller = [&]() -> asio::awaitable<void> { told = co_await refusal(pool); };
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        asio::co_spawn(context, caller(), asio::detached);
        const auto runs = [&] { return hook.begun == 1; };
        const bool in_time = co_await reached(runs);
        CHECK(in_time);
        co_await pool.close(1s);
        CHECK(pool.stats().total == 0);
    });
    CHECK(hook.cancelled == 1);
    CHECK(steady_clock::now() - began < 60s);
    if (where != place::after_release) {
        REQUIRE(told);
        CHECK(told->reason() == pool_errc::closed);
    }
    CHECK(fixture::sessions("hook_and_close") == 0);
}

TEST_CASE("LC-8: a pool, or its io_context, that goes away with a hook under way harms nobody") {
    const auto where = GENERATE(place::on_connect, place::before_acquire, place::after_release, place::before_close);
    const bool context_too = GENERATE(false, true);
    asio::io_context context;
    waiting_hook hook;
    pool_hooks hooks;
    hook_of(hooks, where) = hook.bound();
    auto one = std::make_optional<pool>(context.get_executor(), short_hooks("hook_and_end", 100ms), hooks);
    const auto caller = [](pool& from) -> asio::awaitable<void> {
        auto held = co_await from.acquire();
        held.discard();
    };
    const auto polite_caller = [](pool& from) -> asio::awaitable<void> {
        auto held = co_await from.acquire();
        held.release();
    };
    run(context, [&]() -> asio::awaitable<void> {
        const auto ignored = [](const std::exception_ptr&) {};
        if (where == place::before_close) {
            asio::co_spawn(context, caller(*one), ignored);
        } else {
            asio::co_spawn(context, polite_caller(*one), ignored);
        }
        const auto runs = [&] { return hook.begun == 1; };
        const bool in_time = co_await reached(runs);
        CHECK(in_time);
        one.reset();
        if (context_too) {
            context.stop();
        }
    });
    if (!context_too) {
        CHECK(hook.cancelled == hook.begun);
        CHECK(fixture::sessions("hook_and_end") == 0);
    }
}

TEST_CASE("LC-8, SH-2: a before_close that would never end holds up close until the end of its grace") {
    const bool asks_the_server = GENERATE(false, true);
    asio::io_context context;
    waiting_hook hook{.asks_the_server = asks_the_server};
    pool_hooks hooks;
    hooks.before_close = hook.bound();
    pool pool{context.get_executor(), short_hooks("farewell_and_close", 600s), hooks};
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        (co_await pool.acquire()).release();
        co_await pool.close(200ms);
        CHECK(pool.stats().total == 0);
    });
    CHECK(hook.begun == 1);
    CHECK(hook.cancelled == 1);
    CHECK(steady_clock::now() - began < 60s);
    CHECK(fixture::sessions("farewell_and_close") == 0);
}
