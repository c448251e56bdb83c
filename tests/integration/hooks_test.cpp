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

/// A pool whose hook of one kind is a scripted one.
struct hooked {
    using kind = connection_hook pool_hooks::*;

    hooked(kind which, std::vector<act> acts, const pool_settings& settings)
        : hook{.acts = std::move(acts)},
          lines{context.get_executor(), settings, hooks_with(which)} {}

    pool_hooks hooks_with(kind which) {
        pool_hooks all;
        all.*which = hook.bound();
        return all;
    }

    asio::io_context context;
    scripted_hook hook;
    pool lines;
};

/// How long a hook may take that behaves so: one that hangs is not waited for for long.
std::chrono::milliseconds time_for(act how) { return how == act::hangs ? 50ms : 30'000ms; }

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
    auto settings = settings_of("failing_on_connect", {.min = 0, .max = 1});
    settings.hooks.on_connect_timeout = time_for(first);
    hooked on{&pool_hooks::on_connect, {first, first}, settings};
    int served_by = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        served_by = co_await one_lease(on.lines);
        co_await on.lines.close(1s);
    });
    REQUIRE(on.hook.pids.size() == 3);
    CHECK(served_by == on.hook.pids[2]);
    CHECK(on.lines.stats().unprepared == 2);
    CHECK(on.lines.stats().total == 0);
    CHECK(fixture::sessions("failing_on_connect") == 0);
}

TEST_CASE("LC-8: while on_connect never goes well, who waits is told so at his deadline, and dials are no storm") {
    auto settings = settings_of("never_connects", {.min = 0, .max = 4});
    settings.connect.backoff_initial = 50ms;
    settings.connect.backoff_max = 50ms;
    hooked on{&pool_hooks::on_connect, std::vector<act>(1'000, act::throws), settings};
    std::shared_ptr<const acquire_error> told;
    run(on.context, [&]() -> asio::awaitable<void> {
        told = co_await refusal(on.lines, {.timeout = 500ms});
        co_await on.lines.close(1s);
    });
    REQUIRE(told);
    CHECK(told->reason() == pool_errc::acquire_timeout);
    REQUIRE(told->last_connect_error());
    CHECK_THAT(told->last_connect_error()->message, Catch::Matchers::StartsWith("cannot prepare a connection: "));
    CHECK(on.hook.pids.size() <= 2 + static_cast<std::size_t>(told->waited() / 25ms));
    CHECK(told->stats().dials <= 2 + static_cast<std::size_t>(told->waited() / 25ms));
}

TEST_CASE("LC-8: before_acquire that discards, throws or hangs costs its connection, and the caller has another") {
    const auto first = GENERATE(act::discard, act::throws, act::hangs);
    auto settings = settings_of("before_acquire", {.min = 1, .max = 1});
    settings.hooks.before_acquire_timeout = time_for(first);
    settings.validation.timeout = 50ms;
    hooked on{&pool_hooks::before_acquire, {first}, settings};
    int served_by = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        served_by = co_await one_lease(on.lines);
        co_await on.lines.close(1s);
    });
    REQUIRE(on.hook.pids.size() == 2);
    CHECK(on.hook.pids[0] != on.hook.pids[1]);
    CHECK(served_by == on.hook.pids[1]);
    CHECK(on.lines.stats().invalid == 1);
}

TEST_CASE("LC-8: before_acquire may ask for another connection, and the first one stays") {
    hooked on{&pool_hooks::before_acquire, {act::retry_another}, settings_of("retry_another", {.min = 2, .max = 2})};
    int served_by = 0;
    std::size_t sessions = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        served_by = co_await one_lease(on.lines);
        sessions = fixture::sessions("retry_another");
        auto both = co_await take(on.lines, 2);
        both.clear();
        co_await on.lines.close(1s);
    });
    REQUIRE(on.hook.pids.size() == 4);
    CHECK(on.hook.pids[0] != on.hook.pids[1]);
    CHECK(served_by == on.hook.pids[1]);
    CHECK(sessions == 2);
    CHECK(on.lines.stats().opened == 2);
}

TEST_CASE("LC-8: before_acquire may refuse the caller, and the connection serves the next one") {
    hooked on{&pool_hooks::before_acquire, {act::fail_acquire}, settings_of("refused", {.min = 1, .max = 1})};
    std::shared_ptr<const acquire_error> told;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        told = co_await refusal(on.lines);
        co_await one_lease(on.lines);
        co_await on.lines.close(1s);
    });
    REQUIRE(told);
    CHECK(told->reason() == pool_errc::refused_by_hook);
    REQUIRE(on.hook.pids.size() == 2);
    CHECK(on.hook.pids[0] == on.hook.pids[1]);
    CHECK(on.lines.stats().opened == 1);
}

TEST_CASE("LC-8: before_acquire is asked for one who waits, too") {
    hooked on{&pool_hooks::before_acquire, {}, settings_of("asked_each_time", {.min = 1, .max = 1})};
    int served = 0;
    const auto client = [&]() -> asio::awaitable<void> {
        co_await one_lease(on.lines);
        ++served;
    };
    run(on.context, [&]() -> asio::awaitable<void> {
        auto held = co_await on.lines.acquire();
        for (int i = 0; i < 20; ++i) {
            asio::co_spawn(on.context, client(), asio::detached);
        }
        held.release();
        const auto all = [&] { return served == 20; };
        const bool all_served = co_await reached(all);
        CHECK(all_served);
        co_await on.lines.close(1s);
    });
    CHECK(on.hook.pids.size() == 21);
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
    auto settings = settings_of("after_release", {.min = 0, .max = 1});
    settings.hooks.after_release_timeout = time_for(first);
    settings.query.cancel_timeout = 50ms;
    settings.lifetime.rollback_timeout = first == act::hangs ? 100ms : 30'000ms;
    hooked on{&pool_hooks::after_release, {first}, settings};
    int before = 0;
    int after = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        {
            auto held = co_await on.lines.acquire();
            before = held->backend_pid();
            co_await held->query("BEGIN");
            co_await outcome_of(*held, "SELECT 1 / 0");  // in a failed transaction the hook's statement would fail
        }
        after = co_await one_lease(on.lines);
        co_await on.lines.close(1s);
    });
    CHECK((before == after) == same);
    CHECK(on.hook.pids.size() == 2);
    CHECK(on.lines.stats().discarded == (same ? 0 : 1));
}

TEST_CASE(
    "LC-8: before_close talks to a connection that leaves, whatever it does, and close waits no longer than for it") {
    const auto first = GENERATE(act::keep, act::discard, act::throws, act::hangs);
    auto settings = settings_of("before_close", {.min = 2, .max = 2});
    settings.hooks.before_close_timeout = time_for(first);
    hooked on{&pool_hooks::before_close, {first, first}, settings};
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        co_await on.lines.close(1s);
    });
    CHECK(on.hook.pids.size() == 2);
    CHECK(on.lines.stats().total == 0);
    CHECK(fixture::sessions("before_close") == 0);
}
