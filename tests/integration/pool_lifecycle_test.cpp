#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <optional>
#include <set>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

TEST_CASE("SZ-9: more room serves those who wait, at once") {
    asio::io_context context;
    const auto before = fixture::settings("grow", {.min = 0, .max = 1});
    pool pool{context.get_executor(), before};
    bool served = false;
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        auto second = pool.async_acquire({.timeout = 10s}, asio::use_future);
        auto after = before;
        after.size.max = 2;
        pool.reconfigure(after);
        while (second.wait_for(0s) != std::future_status::ready) {
            co_await asio::post(context, asio::use_awaitable);
        }
        served = static_cast<bool>(second.get());
        lease.release();
        co_await pool.close(1s);
    });
    CHECK(served);
}

TEST_CASE("SZ-9: less room closes idle connections now and lent ones when they come back") {
    asio::io_context context;
    const auto before = fixture::settings("shrink", {.min = 4, .max = 4});
    pool pool{context.get_executor(), before};
    std::size_t with_leases_out = 0;
    std::size_t afterwards = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        auto after = before;
        after.size = {.min = 1, .max = 1};
        pool.reconfigure(after);
        while (pool.stats().total > 2) {
            co_await asio::post(context, asio::use_awaitable);
        }
        with_leases_out = fixture::sessions("shrink");
        co_await first->query("SELECT 1");  // a lease is never broken
        co_await second->query("SELECT 1");
        first.release();
        second.release();
        while (pool.stats().total > 1) {
            co_await asio::post(context, asio::use_awaitable);
        }
        afterwards = fixture::sessions("shrink");
        co_await pool.close(1s);
    });
    CHECK(with_leases_out == 2);
    CHECK(afterwards == 1);
}

TEST_CASE("settings that contradict each other are refused and change nothing") {
    asio::io_context context;
    const auto before = fixture::settings("refused", {.min = 0, .max = 2});
    pool pool{context.get_executor(), before};
    auto after = before;
    after.size = {.min = 5, .max = 3};
    after.acquire.timeout = 0ms;
    try {
        pool.reconfigure(after);
        FAIL("invalid settings were taken");
    } catch (const settings_error& refused) {
        CHECK(refused.problems().size() == 2);
    }
    CHECK(pool.settings() == before);
}

TEST_CASE("a URL that libpq cannot read is refused at construction, and no secret is told") {
    asio::io_context context;
    pool_settings settings;
    settings.connect.url = "postgresql://user:s3cret@host:port:again/x";
    try {
        const pool refused{context.get_executor(), settings};
        FAIL("a wrong URL was taken");
    } catch (const settings_error& error) {
        REQUIRE(error.problems().size() == 1);
        CHECK(error.problems()[0].setting == "connect.url");
        CHECK(std::string{error.what()}.find("s3cret") == std::string::npos);
    }
}

TEST_CASE("everything that is wrong with settings is told at once, the URL too") {
    asio::io_context context;
    pool_settings settings;
    settings.connect.url = "postgresql://host:port/x";
    settings.size = {.min = 5, .max = 3};
    try {
        const pool refused{context.get_executor(), settings};
        FAIL("wrong settings were taken");
    } catch (const settings_error& error) {
        CHECK(error.problems().size() == 2);
    }
}

TEST_CASE("a before_acquire hook that may take all of a caller's time is refused, at construction and live") {
    asio::io_context context;
    pool_hooks hooks;
    hooks.before_acquire = [](connection&) -> asio::awaitable<hook_outcome> { co_return hook_outcome::keep; };
    auto settings = fixture::settings("slow_hook", {.min = 5, .max = 3});
    settings.acquire.timeout = 300ms;
    settings.hooks.before_acquire_timeout = 300ms;
    try {
        const pool refused{context.get_executor(), settings, hooks};
        FAIL("wrong settings were taken");
    } catch (const settings_error& error) {
        REQUIRE(error.problems().size() == 2);
        CHECK(error.problems()[0].setting == "size.min");
        CHECK(error.problems()[1].setting == "hooks.before_acquire_timeout");
    }
    settings.size.min = 0;
    const pool without_it{context.get_executor(), settings};  // where there is no such hook its time means nothing
    settings.hooks.before_acquire_timeout.reset();
    const pool with_its_default{context.get_executor(), settings, hooks};
    settings.hooks.before_acquire_timeout = 299ms;
    pool with_it{context.get_executor(), settings, hooks};
    auto slower = settings;
    slower.hooks.before_acquire_timeout = 300ms;
    CHECK_THROWS_AS(with_it.reconfigure(slower), settings_error);
    CHECK(with_it.settings() == settings);
}

TEST_CASE("a log handler may reconfigure the pool whose reconfiguration it hears of") {
    asio::io_context context;
    auto settings = fixture::settings("told", {.min = 0, .max = 3});
    pool* told_of = nullptr;
    int heard = 0;
    pool_hooks hooks;
    hooks.log = [&](const log_record&) {
        if (told_of != nullptr && ++heard == 1) {
            auto again = told_of->settings();
            again.acquire.timeout = 7s;
            told_of->reconfigure(again);
        }
    };
    pool pool{context.get_executor(), settings, hooks};
    run(context, [&]() -> asio::awaitable<void> {
        auto all = co_await take(pool, 2);
        all.clear();
        settings.size.max = 1;
        told_of = &pool;
        pool.reconfigure(settings);  // closes one, which is logged
        told_of = nullptr;
        co_await pool.close(1s);
    });
    CHECK(heard >= 1);
    CHECK(pool.settings().acquire.timeout == 7s);
    CHECK(pool.settings().size.max == 1);
}

TEST_CASE("LC-3: rotation replaces every session, one after another, and breaks no lease") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("rotate", {.min = 2, .max = 2})};
    std::set<int> before;
    std::set<int> after;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto first = co_await pool.acquire();
        {
            auto second = co_await pool.acquire();
            before = {first->backend_pid(), second->backend_pid()};
        }
        pool.rotate();
        co_await first->query("SELECT 1");
        first.release();
        while (pool.stats().retired < 2 || pool.stats().idle < 2) {
            co_await asio::post(context, asio::use_awaitable);
        }
        auto third = co_await pool.acquire();
        auto fourth = co_await pool.acquire();
        after = {third->backend_pid(), fourth->backend_pid()};
        third.release();
        fourth.release();
        co_await pool.close(1s);
    });
    for (const int pid : after) {
        CHECK(before.count(pid) == 0);
    }
    CHECK(pool.stats().retired == 2);
}

TEST_CASE("LC-9: eviction closes idle sessions now and lent ones when they come back") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("evict", {.min = 0, .max = 3})};
    std::size_t while_lent = 0;
    bool lease_goes_on = false;
    std::size_t chosen_alone = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        second.release();
        pool.evict_all();
        while (pool.stats().total > 1) {
            co_await asio::post(context, asio::use_awaitable);
        }
        while_lent = fixture::sessions("evict");
        const auto rows = co_await first->query("SELECT 1");
        lease_goes_on = rows.size() == 1;
        first.release();
        auto third = co_await pool.acquire();
        auto fourth = co_await pool.acquire();
        const int spared = third->backend_pid();
        third.release();
        fourth.release();
        pool.evict([&](const connection_info& c) { return c.backend_pid != spared && c.uses == 1; });
        while (pool.stats().total > 1) {
            co_await asio::post(context, asio::use_awaitable);
        }
        auto last = co_await pool.acquire();
        chosen_alone = last->backend_pid() == spared ? 1U : 0U;
        last.release();
        co_await pool.close(1s);
    });
    CHECK(while_lent == 1);
    CHECK(lease_goes_on);
    CHECK(chosen_alone == 1);
}

TEST_CASE("SH-1, SH-2: close tells those who wait, waits for leases, and refuses newcomers") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("close", {.min = 1, .max = 1})};
    error_code waiting;
    error_code late;
    bool query_ended_well = false;
    const auto holder = [&](lease held) -> asio::awaitable<void> {
        co_await held->query("SELECT pg_sleep(0.2)");
        query_ended_well = true;
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        asio::co_spawn(context, holder(std::move(lease)), asio::detached);
        pool.async_acquire([&](error_code code, trunkline::lease) { waiting = code; });
        co_await pool.close(10s);
        pool.async_acquire([&](error_code code, trunkline::lease) { late = code; });
        co_await pool.close(0s);  // a second call finds the same end
    });
    CHECK(waiting == pool_errc::closed);
    CHECK(late == pool_errc::closed);
    CHECK(query_ended_well);
    CHECK(fixture::sessions("close") == 0);
}

TEST_CASE("SH-2: close ends what is still under way when the grace is over") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("hard_close", {.min = 1, .max = 1})};
    error_code ended;
    const auto holder = [&](lease held) -> asio::awaitable<void> {
        try {
            co_await held->query("SELECT pg_sleep(60)");
        } catch (const error& failed) {
            ended = failed.code();
        }
    };
    const auto began = std::chrono::steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        asio::co_spawn(context, holder(std::move(lease)), asio::detached);
        co_await pool.close(100ms);
    });
    CHECK(ended == pool_errc::closed);
    CHECK(std::chrono::steady_clock::now() - began < 30s);
    CHECK(pool.stats().total == 0);
}

TEST_CASE("SH-6: a lease may outlive its pool") {
    asio::io_context context;
    std::int32_t answer = 0;
    run(context, [&]() -> asio::awaitable<void> {
        std::optional<pool> short_lived{std::in_place, context.get_executor(),
                                        fixture::settings("outlive", {.min = 1, .max = 2})};
        auto lease = co_await short_lived->acquire();
        short_lived.reset();
        const auto rows = co_await lease->query("SELECT 42");
        answer = rows[0].get<std::int32_t>(0);
    });
    CHECK(answer == 42);
    CHECK(fixture::sessions("outlive") == 0);
}

TEST_CASE("destroying the pool tells those who wait") {
    asio::io_context context;
    error_code told;
    run(context, [&]() -> asio::awaitable<void> {
        std::optional<pool> short_lived{std::in_place, context.get_executor(),
                                        fixture::settings("destroy", {.min = 1, .max = 1})};
        auto lease = co_await short_lived->acquire();
        short_lived->async_acquire([&](error_code code, trunkline::lease) { told = code; });
        short_lived.reset();
    });
    CHECK(told == pool_errc::closed);
}

TEST_CASE("destroying the io_context with waiters, queries and dials under way harms nobody") {
    for (int trial = 0; trial < 20; ++trial) {
        asio::io_context context;
        auto one = std::make_unique<pool>(context.get_executor(), fixture::settings("destroyed", {.min = 1, .max = 2}));
        const auto client = [&](pool& from) -> asio::awaitable<void> {
            auto lease = co_await from.acquire();
            co_await lease->query("SELECT pg_sleep(5)");
        };
        for (int i = 0; i < 10; ++i) {
            asio::co_spawn(context, client(*one), asio::detached);
        }
        context.run_for(std::chrono::milliseconds{5 * trial});
        one.reset();
    }
    SUCCEED("nothing crashed; the sanitizers look for the rest");
}
