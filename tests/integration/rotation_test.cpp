#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

std::size_t ready_sessions(const scripted_server& server) {
    const auto seen = server.count();
    return seen.open - seen.handshakes;
}

/// Clients that ask without a pause, and what they saw.
struct load {
    pool& on;
    bool stop = false;
    std::size_t clients = 0;
    std::size_t answered = 0;
    std::size_t failed = 0;

    asio::awaitable<void> client() {
        ++clients;
        while (!stop) {
            error_code code;
            try {
                co_await on.query("SELECT 1");
            } catch (const error& failure) {
                code = failure.code();
            }
            ++(code ? failed : answered);
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        }
        --clients;
    }

    asio::awaitable<void> end() {
        stop = true;
        const bool ended = co_await reached([this] { return clients == 0; });
        CHECK(ended);
    }
};

/// The sessions that were open at the beginning and have been told goodbye.
std::size_t goodbyes(const scripted_server& server, std::size_t among_the_first) {
    std::size_t gone = 0;
    for (std::size_t i = 0; i < among_the_first; ++i) {
        gone += server.session(i).goodbye ? 1 : 0;
    }
    return gone;
}

}  // namespace

TEST_CASE("LC-3: with room each replacement is ready before an old one leaves, under load, and nobody notices") {
    scripted_server server;
    server.greet_with([](std::size_t session) { return greeting{.delay = session < 3 ? 0ms : 60ms}; });
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 3, .max = 4})};
    load clients{pool};
    std::size_t fewest = 100;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 3; ++i) {
            asio::co_spawn(context, clients.client(), asio::detached);
        }
        pool.rotate();
        const auto all_replaced = [&] {
            fewest = std::min(fewest, ready_sessions(server));
            return goodbyes(server, 3) == 3 && server.count().open == 3;
        };
        const bool replaced = co_await reached(all_replaced);
        CHECK(replaced);
        co_await clients.end();
        co_await pool.close(1s);
    });
    CHECK(fewest >= 3);
    CHECK(server.count().most_open <= 4);
    CHECK(server.count().sessions == 6);
    CHECK(clients.failed == 0);
    CHECK(clients.answered > 0);
}

TEST_CASE("LC-3, SZ-1: without room one leaves first, never two, and the server never has more than size.max") {
    scripted_server server;
    server.greet_with([](std::size_t session) { return greeting{.delay = session < 3 ? 0ms : 60ms}; });
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 3, .max = 3})};
    load clients{pool};
    std::size_t fewest = 100;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 6; ++i) {
            asio::co_spawn(context, clients.client(), asio::detached);
        }
        pool.rotate();
        const auto all_replaced = [&] {
            fewest = std::min(fewest, ready_sessions(server));
            return goodbyes(server, 3) == 3 && ready_sessions(server) == 3;
        };
        const bool replaced = co_await reached(all_replaced);
        CHECK(replaced);
        co_await clients.end();
        co_await pool.close(1s);
    });
    CHECK(fewest == 2);
    CHECK(server.count().most_open <= 3);
    CHECK(server.count().sessions == 6);
    CHECK(clients.failed == 0);
}

TEST_CASE("LC-2: connections opened together end their lives one at a time, max_lifetime / size apart") {
    scripted_server server;
    server.greet_with([](std::size_t session) { return greeting{.delay = session < 4 ? 0ms : 20ms}; });
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 4, .max = 5});
    settings.lifetime.max_lifetime = 1'000ms;
    settings.lifetime.idle_timeout = 0ms;
    pool pool{context.get_executor(), settings};
    std::vector<std::chrono::nanoseconds> ends;
    std::size_t most_at_once = 0;
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        const auto all_ended = [&] {
            most_at_once = std::max(most_at_once, server.count().handshakes);
            const auto gone = goodbyes(server, 4);
            ends.resize(std::max(ends.size(), gone), steady_clock::now() - began);
            return gone == 4;
        };
        const bool ended = co_await reached(all_ended);
        CHECK(ended);
        co_await pool.close(1s);
    });
    REQUIRE(ends.size() == 4);
    for (std::size_t i = 0; i < ends.size(); ++i) {
        INFO("the end of number " << i << " after " << milliseconds(ends[i]) << " ms");
        CHECK(ends[i] >= 900ms + i * 200ms);  // a tenth less at most; five are open when one is replaced
    }
    CHECK(most_at_once <= 1);
    CHECK(server.count().most_open <= 5);
}

TEST_CASE("LC-6: an idle connection is asked for a sign of life, again and again, and nobody has to ask for it") {
    scripted_server server;
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.lifetime.keepalive = 200ms;
    pool pool{context.get_executor(), settings};
    std::size_t asked = 0;
    const auto began = steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        const auto signs = [&] {
            return server.session(0).statements.size() >= 3 && server.session(1).statements.size() >= 3;
        };
        const bool came = co_await reached(signs);
        CHECK(came);
        asked = server.count().statements;
        co_await pool.close(1s);
    });
    const auto took = steady_clock::now() - began;
    for (const auto& session : server.sessions()) {
        for (const auto& text : session.texts()) {
            CHECK(text.empty());
        }
    }
    CHECK(asked <= 2 * static_cast<std::size_t>(took / 180ms + 1));  // never earlier than 10 % before its time
    CHECK(server.count().sessions == 2);
    CHECK(pool.stats().keepalives >= 6);
}

TEST_CASE("LC-7: a connection that was lent max_uses times is closed, and another takes its place") {
    asio::io_context context;
    auto settings = fixture::settings("worn", {.min = 0, .max = 1});
    settings.lifetime.max_uses = 3;
    pool pool{context.get_executor(), settings};
    std::vector<int> pids;
    run(context, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 7; ++i) {
            const auto held = co_await pool.acquire();
            pids.push_back(held->backend_pid());
        }
        co_await pool.close(1s);
    });
    REQUIRE(pids.size() == 7);
    CHECK(std::set<int>(pids.begin(), pids.end()).size() == 3);
    for (const std::size_t i : {0U, 1U, 3U, 4U}) {
        CHECK(pids[i] == pids[i + 1]);
    }
    CHECK(pool.stats().worn == 2);
}

TEST_CASE("LC-10: a detached connection lives on outside the pool, its slot is free, and destroying it ends it") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("detached", {.min = 0, .max = 1})};
    std::int32_t answer = 0;
    std::size_t both = 0;
    std::size_t without_pool = 0;
    bool empty_lease = true;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        auto mine = held.detach();
        empty_lease = !held;
        CHECK(pool.stats().total == 0);
        CHECK(pool.stats().detached == 1);
        {
            const auto another = co_await pool.acquire();  // `max` is 1: the slot is free
            CHECK(another->backend_pid() != mine->backend_pid());
            both = fixture::sessions("detached");
        }
        co_await pool.close(1s);
        without_pool = fixture::sessions("detached");
        const auto rows = co_await mine->query("SELECT 42");
        answer = rows[0].get<std::int32_t>(0);
    });
    CHECK(empty_lease);
    CHECK(both == 2);
    CHECK(without_pool == 1);
    CHECK(answer == 42);
    plain_connection observer{fixture::url()};
    const auto give_up = steady_clock::now() + 10s;
    while (sessions_of(observer, "detached") > 0 && steady_clock::now() < give_up) {
        std::this_thread::sleep_for(2ms);
    }
    CHECK(sessions_of(observer, "detached") == 0);
}
