#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// Until it is cancelled.
asio::awaitable<void> hang() {
    asio::steady_timer forever{co_await asio::this_coro::executor};
    forever.expires_at(asio::steady_timer::time_point::max());
    co_await forever.async_wait(asio::use_awaitable);
}

/// How a hook behaves in one of its calls.
enum class act { keep, discard, retry_another, fail_acquire, throws, hangs };

/// A hook that behaves as told, call by call, and from then on keeps; and for whom it was called.
struct scripted_hook {
    std::vector<act> acts{};
    std::vector<int> pids{};

    asio::awaitable<hook_outcome> operator()(connection& c) {
        const auto now = pids.size() < acts.size() ? acts[pids.size()] : act::keep;
        pids.push_back(c.backend_pid());
        switch (now) {
        case act::keep: break;
        case act::discard: co_return hook_outcome::discard;
        case act::retry_another: co_return hook_outcome::retry_another;
        case act::fail_acquire: co_return hook_outcome::fail_acquire;
        case act::throws: throw std::runtime_error{"a hook of the program's"};
        case act::hangs: co_await hang(); break;
        }
        co_await c.query("SELECT 1");
        co_return hook_outcome::keep;
    }

    connection_hook bound() {
        return [this](connection& c) { return (*this)(c); };
    }
};

pool_settings settings_of(const std::string& application, size_settings size) {
    auto settings = fixture::settings(application, size);
    settings.connect.backoff_initial = 10ms;
    settings.connect.backoff_max = 20ms;
    settings.acquire.timeout = 60s;
    return settings;
}

/// Lends and takes back once; gives the backend.
asio::awaitable<int> one_lease(pool& from) {
    const auto held = co_await from.acquire();
    co_return held->backend_pid();
}

}  // namespace

TEST_CASE("LC-8: on_connect prepares each connection before anybody has it") {
    asio::io_context context;
    pool_hooks hooks;
    int prepared = 0;
    hooks.on_connect = [&](connection& c) -> asio::awaitable<hook_outcome> {
        co_await c.query("PREPARE answer AS SELECT 42");
        ++prepared;
        co_return hook_outcome::keep;
    };
    pool pool{context.get_executor(), settings_of("on_connect", {.min = 2, .max = 3}), hooks};
    int answers = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto all = co_await take(pool, 3);
        for (const auto& one : all) {
            const auto rows = co_await one->query("EXECUTE answer");
            answers += rows[0].get<std::int32_t>(0) == 42 ? 1 : 0;
        }
        all.clear();
        co_await pool.close(1s);
    });
    CHECK(answers == 3);
    CHECK(prepared == 3);
}

TEST_CASE("LC-8: what on_connect sets is reset before anybody borrows; what the URL sets holds for all") {
    asio::io_context context;
    pool_hooks hooks;
    hooks.on_connect = [](connection& c) -> asio::awaitable<hook_outcome> {
        co_await c.query("SET work_mem = '5MB'");
        co_return hook_outcome::keep;
    };
    auto settings = settings_of("sets", {.min = 1, .max = 1});
    settings.connect.url += "?options=-c%20statement_timeout%3D7s";
    pool pool{context.get_executor(), settings, hooks};
    std::vector<std::string> seen;
    std::string usual;
    run(context, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 2; ++i) {
            auto lease = co_await pool.acquire();
            co_await lease->query("SELECT set_config('work_mem', '6MB', false)");
            lease.release();
            const auto rows =
                co_await pool.query("SELECT current_setting('work_mem'), current_setting('statement_timeout')");
            seen.push_back(rows[0].get<std::string>(0));
            seen.push_back(rows[0].get<std::string>(1));
        }
        co_await pool.close(1s);
    });
    usual = scalar(settings.connect.url, "SHOW work_mem");
    CHECK(seen == std::vector<std::string>{usual, "7s", usual, "7s"});
}

TEST_CASE(
    "LC-8: an on_connect that refuses, throws or hangs is a failed dial, and who waits gets the next connection") {
    const auto first = GENERATE(act::discard, act::fail_acquire, act::throws, act::hangs);
    asio::io_context context;
    scripted_hook hook{.acts = {first, first}};
    pool_hooks hooks;
    hooks.on_connect = hook.bound();
    auto settings = settings_of("failing_on_connect", {.min = 0, .max = 1});
    settings.hooks.on_connect_timeout = first == act::hangs ? 50ms : 30'000ms;
    pool pool{context.get_executor(), settings, hooks};
    int served_by = 0;
    run(context, [&]() -> asio::awaitable<void> {
        served_by = co_await one_lease(pool);
        co_await pool.close(1s);
    });
    REQUIRE(hook.pids.size() == 3);
    CHECK(served_by == hook.pids[2]);
    CHECK(pool.stats().unprepared == 2);
    CHECK(pool.stats().total == 0);
    CHECK(fixture::sessions("failing_on_connect") == 0);
}

TEST_CASE("LC-8: while on_connect never goes well, who waits is told so at his deadline, and dials are no storm") {
    asio::io_context context;
    scripted_hook hook{.acts = std::vector<act>(1'000, act::throws)};
    pool_hooks hooks;
    hooks.on_connect = hook.bound();
    auto settings = settings_of("never_connects", {.min = 0, .max = 4});
    settings.connect.backoff_initial = 50ms;
    settings.connect.backoff_max = 50ms;
    pool pool{context.get_executor(), settings, hooks};
    std::shared_ptr<const acquire_error> told;
    run(context, [&]() -> asio::awaitable<void> {
        told = co_await refusal(pool, {.timeout = 500ms});
        co_await pool.close(1s);
    });
    REQUIRE(told);
    CHECK(told->reason() == pool_errc::acquire_timeout);
    REQUIRE(told->last_connect_error());
    CHECK_THAT(told->last_connect_error()->message, Catch::Matchers::StartsWith("cannot prepare a connection: "));
    CHECK(hook.pids.size() <= 2 + static_cast<std::size_t>(told->waited() / 25ms));
    CHECK(told->stats().dials <= 2 + static_cast<std::size_t>(told->waited() / 25ms));
}

TEST_CASE("LC-8: before_acquire that discards, throws or hangs costs its connection, and the caller has another") {
    const auto first = GENERATE(act::discard, act::throws, act::hangs);
    asio::io_context context;
    scripted_hook hook{.acts = {first}};
    pool_hooks hooks;
    hooks.before_acquire = hook.bound();
    auto settings = settings_of("before_acquire", {.min = 1, .max = 1});
    settings.hooks.before_acquire_timeout = first == act::hangs ? 50ms : 30'000ms;
    settings.validation.timeout = 50ms;
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings, hooks};
    int served_by = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        served_by = co_await one_lease(pool);
        co_await pool.close(1s);
    });
    REQUIRE(hook.pids.size() == 2);
    CHECK(hook.pids[0] != hook.pids[1]);
    CHECK(served_by == hook.pids[1]);
    CHECK(pool.stats().invalid == 1);
}

TEST_CASE("LC-8: before_acquire may ask for another connection, and the first one stays") {
    asio::io_context context;
    scripted_hook hook{.acts = {act::retry_another}};
    pool_hooks hooks;
    hooks.before_acquire = hook.bound();
    pool pool{context.get_executor(), settings_of("retry_another", {.min = 2, .max = 2}), hooks};
    int served_by = 0;
    std::size_t sessions = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        served_by = co_await one_lease(pool);
        sessions = fixture::sessions("retry_another");
        auto both = co_await take(pool, 2);
        both.clear();
        co_await pool.close(1s);
    });
    REQUIRE(hook.pids.size() == 4);
    CHECK(hook.pids[0] != hook.pids[1]);
    CHECK(served_by == hook.pids[1]);
    CHECK(sessions == 2);
    CHECK(pool.stats().opened == 2);
}

TEST_CASE("LC-8: before_acquire may refuse the caller, and the connection serves the next one") {
    asio::io_context context;
    scripted_hook hook{.acts = {act::fail_acquire}};
    pool_hooks hooks;
    hooks.before_acquire = hook.bound();
    pool pool{context.get_executor(), settings_of("refused", {.min = 1, .max = 1}), hooks};
    std::shared_ptr<const acquire_error> told;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        told = co_await refusal(pool);
        co_await one_lease(pool);
        co_await pool.close(1s);
    });
    REQUIRE(told);
    CHECK(told->reason() == pool_errc::refused_by_hook);
    REQUIRE(hook.pids.size() == 2);
    CHECK(hook.pids[0] == hook.pids[1]);
    CHECK(pool.stats().opened == 1);
}

TEST_CASE("LC-8: before_acquire is asked for one who waits, too") {
    asio::io_context context;
    scripted_hook hook;
    pool_hooks hooks;
    hooks.before_acquire = hook.bound();
    pool pool{context.get_executor(), settings_of("asked_each_time", {.min = 1, .max = 1}), hooks};
    int served = 0;
    const auto client = [&]() -> asio::awaitable<void> {
        co_await one_lease(pool);
        ++served;
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        for (int i = 0; i < 20; ++i) {
            asio::co_spawn(context, client(), asio::detached);
        }
        held.release();
        const auto all = [&] { return served == 20; };
        const bool all_served = co_await reached(all);
        CHECK(all_served);
        co_await pool.close(1s);
    });
    CHECK(hook.pids.size() == 21);
}

TEST_CASE("LC-8: after_release finds the transaction rolled back, and may have the connection closed") {
    const auto [first, same] = GENERATE(table<act, bool>({
        {act::keep, true},
        {act::retry_another, true},
        {act::discard, false},
        {act::fail_acquire, false},
        {act::throws, false},
        {act::hangs, false},
    }));
    asio::io_context context;
    scripted_hook hook{.acts = {first}};
    pool_hooks hooks;
    hooks.after_release = hook.bound();
    auto settings = settings_of("after_release", {.min = 0, .max = 1});
    settings.hooks.after_release_timeout = first == act::hangs ? 50ms : 30'000ms;
    settings.query.cancel_timeout = 50ms;
    settings.lifetime.rollback_timeout = first == act::hangs ? 100ms : 30'000ms;
    pool pool{context.get_executor(), settings, hooks};
    int before = 0;
    int after = 0;
    run(context, [&]() -> asio::awaitable<void> {
        {
            auto held = co_await pool.acquire();
            before = held->backend_pid();
            co_await held->query("BEGIN");
            co_await outcome_of(*held, "SELECT 1 / 0");  // in a failed transaction the hook's statement would fail
        }
        after = co_await one_lease(pool);
        co_await pool.close(1s);
    });
    CHECK((before == after) == same);
    CHECK(hook.pids.size() == 2);
    CHECK(pool.stats().discarded == (same ? 0 : 1));
}

TEST_CASE(
    "LC-8: before_close talks to a connection that leaves, whatever it does, and close waits no longer than for it") {
    const auto first = GENERATE(act::keep, act::discard, act::throws, act::hangs);
    asio::io_context context;
    scripted_hook hook{.acts = {first, first}};
    pool_hooks hooks;
    hooks.before_close = hook.bound();
    auto settings = settings_of("before_close", {.min = 2, .max = 2});
    settings.hooks.before_close_timeout = first == act::hangs ? 50ms : 30'000ms;
    pool pool{context.get_executor(), settings, hooks};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        co_await pool.close(1s);
    });
    CHECK(hook.pids.size() == 2);
    CHECK(pool.stats().total == 0);
    CHECK(fixture::sessions("before_close") == 0);
}
