#include "fault_fixture.hpp"
#include "support/black_hole.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <cstdio>
#include <vector>

// What a pool makes of a network that swallows every packet: nothing is refused, ended or acknowledged.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

/// What a machine that others use, too, may add to a bound.
constexpr std::chrono::milliseconds slack = 250ms;

bool possible() {
    if (const auto reason = black_hole::unavailable(); !reason.empty()) {
        std::puts(("SKIPPED: " + reason).c_str());
        return false;
    }
    return true;
}

std::chrono::milliseconds measured(const char* what, steady_clock::time_point begin, steady_clock::time_point end) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(end - begin);
    std::printf("measured: %s after %lld ms\n", what, static_cast<long long>(took.count()));
    return took;
}

/// A pool on the file's server, with a black hole in between.
struct swallowed_line {
    swallowed_line(const std::string& application, size_settings size)
        : name{application},
          pool{context.get_executor(), settings(size)} {}

    /// A server in the middle of a statement does not see that its client has gone.
    ~swallowed_line() { terminate_sessions_of(observer, name); }

    pool_settings settings(size_settings size) const { return settings_on(net.url(), name, size); }

    /// Starts a statement that sleeps, and waits until the server runs it and has acknowledged it.
    asio::awaitable<void> begin_sleeping(lease& on, fate& into) {
        const auto sleep = [](lease& where, fate& seen) -> asio::awaitable<void> {
            seen = co_await ask(*where, "SELECT pg_sleep(60)::text");
        };
        asio::co_spawn(context, sleep(on, into), asio::detached);
        const auto asked =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND "
            "application_name = '" +
            name + "'";
        const auto sleeping = [&] { return observer.count(asked) == 1; };
        const bool sleeping_in_time = co_await reached(sleeping);
        CHECK(sleeping_in_time);
        co_await pause(300ms);
    }

    std::string name;
    asio::io_context context;
    black_hole net{fixture::server()};
    plain_connection observer{fixture::server().socket_url()};
    trunkline::pool pool;
};

}  // namespace

// What is sent and not acknowledged is given up after tcp_user_timeout, 10 s, at the retransmission that is due then. Where
// an answer is awaited, the first keepalive goes out after 10 s of silence, and the second is due 5 s later: by then the
// first has been unanswered, and nothing has come, for longer than tcp_user_timeout, and so the kernel gives up.
TEST_CASE("TO-2: queries into a black hole without a deadline fail by 16 s, as lost, and the pool goes on") {
    if (!possible()) {
        return;
    }
    swallowed_line on{"swallowed_query", {.min = 2, .max = 2}};
    fate waiting;  // its statement has arrived, its answer will not
    fate sent;     // its statement is sent into the hole
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        auto one = co_await on.pool.acquire();
        auto other = co_await on.pool.acquire();
        co_await on.begin_sleeping(one, waiting);
        on.net.drop();
        const auto begin = steady_clock::now();
        sent = co_await ask(*other, "SELECT 1::text");
        const auto told = [&] { return waiting.when != steady_clock::time_point{}; };
        const bool told_in_time = co_await reached(told, 60s);
        CHECK(told_in_time);
        CHECK(measured("a statement that was sent into it failed", begin, sent.when) <= 16s);
        CHECK(measured("a statement that waited for its answer failed", begin, waiting.when) <= 16s);
        one.release();
        other.release();
        on.net.restore();
        terminate_sessions_of(on.observer, "swallowed_query");  // the server does not know yet
        const auto next = co_await ask(on.pool, "SELECT 'next'");
        CHECK(next.text == "next");
        co_await on.pool.close(1s);
    });
    INFO(sent.text << "; " << waiting.text);
    CHECK(sent.code == errc::connection_lost);
    CHECK(waiting.code == errc::connection_lost);
}

TEST_CASE("AQ-6: with idle connections in a black hole an acquire with a deadline of 1 s has its answer by 1.01 s") {
    if (!possible()) {
        return;
    }
    swallowed_line on{"swallowed_idle", {.min = 3, .max = 3}};
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        co_await pause(1300ms);
        CHECK(on.pool.stats().idle == 3);
        on.net.drop();
        for (int i = 0; i < 3; ++i) {
            const auto begin = steady_clock::now();
            bool lent = false;
            error_code refused;
            try {
                auto lease = co_await on.pool.acquire({.timeout = 1s});
                lent = static_cast<bool>(lease);
                lease.discard();
            } catch (const acquire_error& failure) {
                refused = failure.code();
            }
            const auto answer = lent ? "an acquire had a connection" : "an acquire had an error";
            CHECK(measured(answer, begin, steady_clock::now()) <= 1010ms + slack);
            CHECK((lent || refused == pool_errc::acquire_timeout || refused == pool_errc::unavailable));
        }
        on.net.restore();
        const auto next = co_await ask(on.pool, "SELECT 'next'");
        CHECK(next.text == "next");
        co_await on.pool.close(1s);
    });
}

TEST_CASE("SH-2: closing a pool whose sessions are in a black hole takes at most the grace and 3 s") {
    if (!possible()) {
        return;
    }
    swallowed_line on{"swallowed_close", {.min = 4, .max = 6}};
    std::chrono::milliseconds grace = 0ms;
    SECTION("with no grace") {}
    SECTION("with a grace of 1 s") { grace = 1s; }
    fate asleep;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        auto busy = co_await on.pool.acquire();
        auto quiet = co_await on.pool.acquire();
        co_await on.begin_sleeping(busy, asleep);
        on.net.drop();
        std::vector<lease> rest;
        while (auto taken = on.pool.try_acquire()) {
            rest.push_back(std::move(*taken));
        }
        fate unserved;
        const auto waiter = [&]() -> asio::awaitable<void> { unserved = co_await ask(on.pool, "SELECT 1::text"); };
        asio::co_spawn(on.context, waiter(), asio::detached);
        const auto dialling = [&] { return on.pool.stats().connecting > 0; };
        const bool dialling_in_time = co_await reached(dialling);
        CHECK(dialling_in_time);
        rest.clear();
        const auto begin = steady_clock::now();
        co_await on.pool.close(grace);
        CHECK(measured("the pool had closed", begin, steady_clock::now()) <= grace + 3s + slack);
        const auto all_told = [&] { return asleep.when != steady_clock::time_point{}; };
        const bool told_in_time = co_await reached(all_told, 5s);
        CHECK(told_in_time);
    });
    CHECK(asleep.code == pool_errc::closed);
    CHECK(on.pool.stats().total == 0);
}

TEST_CASE("TO-11: closing a pool whose idle sessions are in a black hole takes about a second") {
    if (!possible()) {
        return;
    }
    swallowed_line on{"swallowed_idle_close", {.min = 5, .max = 5}};
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        on.net.drop();
        const auto begin = steady_clock::now();
        co_await on.pool.close(5s);
        CHECK(measured("the pool had closed", begin, steady_clock::now()) <= 1s + slack);
    });
    CHECK(on.pool.stats().total == 0);
}

TEST_CASE("RE-12: a dial into a black hole ends with the connect time-out, and waiters with their own") {
    if (!possible()) {
        return;
    }
    swallowed_line on{"swallowed_dial", {.min = 0, .max = 2}};
    run(on.context, [&]() -> asio::awaitable<void> {
        on.net.drop();
        const auto begin = steady_clock::now();
        error_code refused;
        try {
            auto lease = co_await on.pool.acquire({.timeout = 500ms});
        } catch (const acquire_error& failure) {
            refused = failure.code();
        }
        CHECK(measured("the waiter was told", begin, steady_clock::now()) <= 500ms + 10ms + slack);
        CHECK(refused == pool_errc::acquire_timeout);
        const auto failed = [&] { return on.pool.stats().dials_failed > 0; };
        const bool failed_in_time = co_await reached(failed);
        CHECK(failed_in_time);
        CHECK(measured("the dial failed", begin, steady_clock::now()) <= 5s + slack);
        on.net.restore();
        const auto next = co_await ask(on.pool, "SELECT 'next'");
        CHECK(next.text == "next");
        co_await on.pool.close(1s);
    });
}
