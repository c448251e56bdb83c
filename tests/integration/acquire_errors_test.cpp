#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <memory>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

using reason = std::shared_ptr<const acquire_error>;

/// Where the pool stood, in numbers and in words.
void check_picture(const reason& why, std::size_t leased, std::size_t waiting) {
    CHECK(why->stats().leased == leased);
    CHECK(why->stats().waiting == waiting);
    CHECK_THAT(why->what(), has_text(std::to_string(leased) + " leased"));
    CHECK_THAT(why->what(), has_text(std::to_string(waiting) + " callers waiting"));
    CHECK_THAT(why->what(), has_text("pool \""));
}

}  // namespace

TEST_CASE("AQ-14: each refusal of a busy pool has its reason, its wait and the counts") {
    asio::io_context context;
    auto settings = fixture::settings("refusals", {.min = 1, .max = 1});
    settings.acquire.max_waiting = 1;
    pool pool{context.get_executor(), settings};
    reason late;
    reason full;
    reason suspended;
    reason told_of_close;
    reason after_close;
    const auto wait_for_close = [&]() -> asio::awaitable<void> {
        told_of_close = co_await refusal(pool, {.timeout = 60s});
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        late = co_await refusal(pool, {.timeout = 50ms});
        pool.suspend();
        suspended = co_await refusal(pool, {.timeout = 50ms});
        pool.resume();
        asio::co_spawn(context, wait_for_close(), asio::detached);
        const auto one_waits = [&] { return pool.stats().waiting == 1; };
        const bool waits = co_await reached(one_waits);
        CHECK(waits);
        full = co_await refusal(pool);
        const auto close = [&]() -> asio::awaitable<void> { co_await pool.close(10s); };
        asio::co_spawn(context, close(), asio::detached);
        const auto told = [&] { return told_of_close != nullptr; };
        const bool told_in_time = co_await reached(told);
        CHECK(told_in_time);
        after_close = co_await refusal(pool);
        held.release();
    });
    for (const auto& one : {late, full, suspended, told_of_close, after_close}) {
        REQUIRE(one);
        CHECK(one->last_connect_error() == nullptr);
    }
    CHECK(late->reason() == pool_errc::acquire_timeout);
    CHECK(late->waited() >= 50ms);
    CHECK(late->stats().total == 1);
    CHECK(late->stats().max == 1);
    check_picture(late, 1, 0);
    CHECK(suspended->reason() == pool_errc::suspended);
    CHECK(suspended->waited() >= 50ms);
    CHECK(full->reason() == pool_errc::queue_full);
    check_picture(full, 1, 1);
    CHECK(told_of_close->reason() == pool_errc::closed);
    CHECK(after_close->reason() == pool_errc::closed);
}

TEST_CASE("AQ-14: who waits in vain is told the latest failed dial, and how long ago it was") {
    scripted_server server;
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 2});
    settings.connect.backoff_initial = 60s;  // one more dial, and no other
    settings.connect.backoff_max = 60s;
    pool pool{context.get_executor(), settings};
    reason late;
    steady_clock::time_point asked_at;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        auto held = co_await pool.acquire();
        server.stop_listening();
        asked_at = steady_clock::now();
        late = co_await refusal(pool, {.timeout = 300ms});
        held.release();
        co_await pool.close(1s);
    });
    REQUIRE(late);
    CHECK(late->reason() == pool_errc::acquire_timeout);
    REQUIRE(late->last_connect_error() != nullptr);
    CHECK(late->last_connect_error()->code == pool_errc::connect_failed);
    CHECK(late->last_connect_error()->when >= asked_at);
    CHECK_THAT(late->last_connect_error()->message, has_text("Connection refused"));
    CHECK_THAT(late->what(), has_text("last connect error "));
    CHECK_THAT(late->what(), has_text("Connection refused"));
    check_picture(late, 1, 0);
}

TEST_CASE("AQ-14: a server without room, or without the database, has its own reason once waiting is in vain") {
    const auto [code, expected] = GENERATE(table<std::string, pool_errc>({
        {"53300", pool_errc::too_many_connections},
        {"3D000", pool_errc::unavailable},
        {"28P01", pool_errc::auth_failed},
        {"57P03", pool_errc::unavailable},
    }));
    scripted_server server;
    server.greet_with(refuses(code, "no"));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 2});
    settings.recovery.fail_fast_after = 0ms;
    pool pool{context.get_executor(), settings};
    reason first;
    reason second;
    run(context, [&]() -> asio::awaitable<void> {
        first = co_await refusal(pool, {.timeout = 300ms});
        second = co_await refusal(pool, {.timeout = 60s});
        co_await pool.close(1s);
    });
    REQUIRE(first);
    REQUIRE(second);
    CHECK(second->reason() == expected);
    CHECK(second->waited() < 30s);
    REQUIRE(second->last_connect_error() != nullptr);
    CHECK(second->last_connect_error()->sqlstate == code);
}

TEST_CASE("AQ-15: when all who hold a connection wait for another one, the one who closes the ring is told") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("nested", {.min = 0, .max = 2})};
    reason second_told;
    bool first_served = false;
    const auto first = [&](lease outer) -> asio::awaitable<void> {
        const auto inner = co_await pool.acquire({.timeout = 60s, .holding = &outer});
        first_served = true;
    };
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        auto outer = co_await pool.acquire();
        {
            auto other = co_await pool.acquire();
            asio::co_spawn(context, first(std::move(other)), asio::detached);
        }
        const auto one_waits = [&] { return pool.stats().waiting == 1; };
        const bool waits = co_await reached(one_waits);
        CHECK(waits);
        second_told = co_await refusal(pool, {.timeout = 60s, .holding = &outer});
        CHECK_FALSE(first_served);
        outer.release();
        const auto served = [&] { return first_served; };
        const bool served_in_time = co_await reached(served);
        CHECK(served_in_time);
        co_await pool.close(1s);
    });
    REQUIRE(second_told);
    CHECK(second_told->reason() == pool_errc::would_deadlock);
    CHECK(pool.stats().deadlocks == 1);
    CHECK(steady_clock::now() - began < 30s);
}

TEST_CASE("AQ-15: a nested acquire waits as ever while somebody can still give a connection back") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("nested_well", {.min = 0, .max = 2})};
    bool served = false;
    const auto nest = [&](lease outer) -> asio::awaitable<void> {
        const auto inner = co_await pool.acquire({.timeout = 60s, .holding = &outer});
        served = true;
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto worker = co_await pool.acquire();
        auto outer = co_await pool.acquire();
        asio::co_spawn(context, nest(std::move(outer)), asio::detached);
        const auto one_waits = [&] { return pool.stats().waiting == 1; };
        const bool waits = co_await reached(one_waits);
        CHECK(waits);
        co_await worker->query("SELECT 1");
        worker.release();
        const auto has_it = [&] { return served; };
        const bool in_time = co_await reached(has_it);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    CHECK(pool.stats().deadlocks == 0);
}

TEST_CASE("settings that contradict each other are listed all in one error, and no pool is made") {
    asio::io_context context;
    auto settings = fixture::settings("contradictory", {.min = 5, .min_idle = 9, .max = 3});
    settings.acquire.timeout = 100ms;
    settings.acquire.shed_target = 200ms;
    settings.validation.timeout = 300ms;
    settings.lifetime.max_lifetime = 60s;
    settings.lifetime.keepalive = 120s;
    settings.lease.timeout = 1s;
    settings.lease.leak_threshold = 2s;
    std::string all;
    try {
        const pool refused{context.get_executor(), settings};
        FAIL("contradictory settings were taken");
    } catch (const settings_error& error) {
        for (const auto& [setting, problem] : error.problems()) {
            all += setting + " ";
            CHECK_THAT(error.what(), has_text(setting));
            CHECK_FALSE(problem.empty());
        }
    }
    for (const char* const part : {"size.min ", "size.min_idle", "acquire.shed_target", "validation.timeout",
                                   "lifetime.keepalive", "lease.leak_threshold"}) {
        CHECK_THAT(all, has_text(part));
    }
}
