#include "../integration/closed_loop.hpp"
#include "../integration/pool_fixture.hpp"
#include "../integration/waiting.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

// Each kind of refusal has a pace of its own.

namespace {

/// Waits for so long, and counts what the server has been asked meanwhile; then how long that was, so that the count is
/// never of a longer time.
struct watched {
    std::size_t knocks = 0;
    steady_clock::duration time{};
};
asio::awaitable<watched> watch(const scripted_server& server, std::chrono::milliseconds time) {
    const auto began = steady_clock::now();
    const auto before = server.count().accepted;
    co_await pause(time);
    watched seen;
    seen.knocks = server.count().accepted - before;
    seen.time = steady_clock::now() - began;
    co_return seen;
}

}  // namespace

TEST_CASE("RE-7: of a server that is full (53300) the pool uses what it has, and one knocks at a steady pace") {
    scripted_server server;
    server.greet_with([](std::size_t session) {
        return session < 5 ? accepts() : refuses("53300", "sorry, too many clients already");
    });
    server.answer_with(answer{.delay = 2ms});
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 12});
    settings.connect.anticipation = 0ms;
    settings.recovery.full_retry = 250ms;
    settings.acquire.timeout = 120s;
    pool pool{context.get_executor(), settings};
    closed_loop clients{pool, "UPDATE t"};
    watched seen;
    run(context, [&]() -> asio::awaitable<void> {
        clients.add(context.get_executor(), 50);
        const auto full = [&] { return server.count().accepted >= 6; };
        const bool is_full = co_await reached(full);
        CHECK(is_full);
        seen = co_await watch(server, 1'100ms);
        const bool gone = co_await clients.end();
        CHECK(gone);
        co_await pool.close(1s);
    });
    CHECK(clients.failed == 0);
    CHECK(clients.answered > 0);
    CHECK(server.count().ready == 5);
    CHECK(seen.knocks <= static_cast<std::size_t>(seen.time / 250ms) + 2);
    CHECK(seen.knocks >= 1);
    WARN(seen.knocks << " knocks in " << milliseconds(seen.time) << " ms at one each 250 ms");
}

TEST_CASE("RE-7: of a server that starts up (57P03) one asks each 200 ms, no more and no less often as time goes by") {
    scripted_server server;
    server.greet_with(refuses("57P03", "the database system is starting up"));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 5});
    settings.connect.backoff_initial = 10s;  // which is not what counts here
    settings.connect.backoff_max = 10s;
    settings.acquire.timeout = 120s;
    pool pool{context.get_executor(), settings};
    bool served = false;
    watched seen;
    run(context, [&]() -> asio::awaitable<void> {
        pool.async_acquire([&](error_code, const lease& lent) { served = static_cast<bool>(lent); });
        const auto refused = [&] { return server.count().accepted >= 1; };
        const bool is_refused = co_await reached(refused);
        CHECK(is_refused);
        seen = co_await watch(server, 1'500ms);
        server.greet_with(accepts());
        const auto up = [&] { return served; };
        const bool in_time = co_await reached(up, 9s);  // a backoff would be longer
        CHECK(in_time);
        co_await pool.close(1s);
    });
    CHECK(seen.knocks <= static_cast<std::size_t>(seen.time / 200ms) + 1);
    CHECK(seen.knocks >= 1);
    WARN(seen.knocks << " knocks in " << milliseconds(seen.time) << " ms");
}

TEST_CASE("RE-7: refused logins (28P01) open a breaker, and nobody knocks until its pause is over") {
    scripted_server server;
    server.greet_with(refuses("28P01", "password authentication failed"));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 4});
    settings.connect.backoff_initial = 1ms;
    settings.connect.backoff_max = 1ms;
    settings.recovery.breaker_failures = 3;
    settings.recovery.breaker_window = 60s;
    settings.recovery.breaker_pause = 1'000ms;
    pool pool{context.get_executor(), settings};
    std::size_t told = 0;
    std::size_t other = 0;
    std::size_t knocks = 0;
    steady_clock::duration shut{};
    steady_clock::time_point third{};
    bool served = false;
    run(context, [&]() -> asio::awaitable<void> {
        const auto ask = [&]() -> asio::awaitable<void> {
            const auto why = co_await refusal(pool, {.timeout = 60s});
            ++(why && why->reason() == pool_errc::auth_failed ? told : other);
        };
        while (server.count().accepted < 3) {
            co_await ask();
            co_await pause(1ms);
        }
        third = server.accepts().at(2);
        server.greet_with(accepts());
        while (server.count().accepted == 3) {
            const auto why = co_await refusal(pool, {.timeout = 60s});
            served = why == nullptr;
            told += served ? 0 : 1;
            co_await pause(2ms);
        }
        shut = server.accepts().at(3) - third;
        knocks = server.count().accepted;
        co_await pool.query("SELECT 1");
        co_await pool.close(1s);
    });
    CHECK(told > 3);
    CHECK(other == 0);
    CHECK(knocks == 4);
    CHECK(shut >= 900ms);  // from the refusal on, which is a little later than the knock
    CHECK(shut < 30s);
}

TEST_CASE("RE-7: without its database (3D000) a server is asked once in a while only, and callers are told at once") {
    scripted_server server;
    server.greet_with(refuses("3D000", "database \"db\" does not exist"));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 4});
    settings.recovery.misconfigured_retry = 30s;
    pool pool{context.get_executor(), settings};
    std::size_t told = 0;
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 100; ++i) {
            const auto why = co_await refusal(pool, {.timeout = 60s});
            told += why && why->reason() == pool_errc::unavailable ? 1 : 0;
            co_await pause(5ms);
        }
        co_await pool.close(1s);
    });
    CHECK(told == 100);
    CHECK(steady_clock::now() - began < 25s);
    CHECK(server.count().accepted == 1);
}

TEST_CASE(
    "RE-8: when the server ends one session for all (57P01), the others are replaced, lent ones when they are back") {
    asio::io_context context;
    auto settings = fixture::settings("one_killed", {.min = 3, .max = 4});
    settings.connect.url = fixture::server().url();
    pool pool{context.get_executor(), settings};
    std::set<int> before;
    std::set<int> after;
    error_code of_lease;
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        co_await pool.start();
        auto held = co_await pool.acquire();
        {
            auto others = co_await take(pool, 2);
            before = {held->backend_pid(), others[0]->backend_pid(), others[1]->backend_pid()};
            const auto victim = std::to_string(others[0]->backend_pid());
            others.clear();
            observer.execute("SELECT pg_terminate_backend(" + victim + ")");
        }
        const auto pids = [&] {
            std::set<int> now;
            for (const auto& row :
                 observer.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'one_killed'")) {
                now.insert(std::stoi(row.at(0)));
            }
            return now;
        };
        const auto lent = held->backend_pid();
        const auto all_but_it = [&] {
            const auto now = pids();
            return now.size() == 3 && std::count_if(now.begin(), now.end(),
                                                    [&](int pid) { return before.count(pid) > 0 && pid != lent; }) == 0;
        };
        const bool replaced = co_await reached(all_but_it);
        CHECK(replaced);
        of_lease = co_await outcome_of(*held, "SELECT 1");
        held.release();
        const auto none_of_before = [&] {
            after = pids();
            return after.size() == 3 &&
                   std::none_of(after.begin(), after.end(), [&](int pid) { return before.count(pid) > 0; });
        };
        const bool all_replaced = co_await reached(none_of_before);
        CHECK(all_replaced);
        co_await pool.close(1s);
    });
    CHECK_FALSE(of_lease);
    CHECK(pool.stats().lost == 1);
    CHECK(pool.stats().retired == 2);
}

TEST_CASE(
    "RE-8, VA-3: a session that the server ends under a statement (57P01) is a loss, and the others are replaced") {
    asio::io_context context;
    auto settings = fixture::settings("killed_at_work", {.min = 3, .max = 4});
    settings.connect.url = fixture::server().url();
    pool pool{context.get_executor(), settings};
    error_code told;
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        co_await pool.start();
        const auto at_work = [&]() -> asio::awaitable<void> {
            try {
                co_await pool.query("SELECT pg_sleep(600)");
            } catch (const error& failure) {
                told = failure.code();
            }
        };
        asio::co_spawn(context, at_work(), asio::detached);
        const auto kill = [&] {
            return observer
                       .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND "
                                "application_name = 'killed_at_work'")
                       .size() == 1;
        };
        const bool killed = co_await reached(kill);
        CHECK(killed);
        const auto others_replaced = [&] { return pool.stats().retired == 2 && pool.stats().idle == 3; };
        const bool replaced = co_await reached(others_replaced);
        CHECK(replaced);
        co_await pool.close(1s);
    });
    CHECK(told == sqlstate::admin_shutdown);
    CHECK(pool.stats().lost == 1);
    CHECK(pool.stats().discarded == 0);
}
