#include "../integration/waiting.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

// The scripted server's log of statements is the witness: a sign of life is an empty one.

namespace {

std::size_t pings(const std::vector<std::string>& texts) {
    return static_cast<std::size_t>(std::count(texts.begin(), texts.end(), ""));
}

/// Answers everything but the signs of life that the first `sessions` are asked for.
scripted_server::answerer dead_to_pings(std::size_t sessions) {
    return [sessions](const received_statement& what) {
        return what.text.empty() && what.session < sessions ? never() : one_row(static_cast<int>(what.session));
    };
}

pool_settings checking_settings(const scripted_server& server, size_settings size) {
    auto settings = fixture::settings_on(server, size);
    settings.validation.after = 50ms;
    settings.validation.timeout = 100ms;
    settings.acquire.timeout = 60s;
    return settings;
}

/// Leaves the pool alone for several times `validation.after`, in which its clock gets many a turn.
asio::awaitable<void> lie_idle() {
    for (int i = 0; i < 8; ++i) {
        co_await pause(40ms);
    }
}

/// Which session answers.
asio::awaitable<std::int32_t> answering_session(pool& from) {
    const auto rows = co_await from.query("SELECT number");
    co_return rows[0].get<std::int32_t>(0);
}

}  // namespace

TEST_CASE("VA-1: a connection that was used a moment ago is lent as it is: no round trip but the statements'") {
    scripted_server server;
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 2, .max = 2});
    settings.validation.after = 60s;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 200; ++i) {
            co_await pool.query("SELECT 1");
        }
        co_await pool.close(1s);
    });
    CHECK(server.count().statements == 200);
    CHECK(pool.stats().checks == 0);
}

TEST_CASE("VA-1: a connection that has lain idle for longer is asked once before it is lent") {
    scripted_server server;
    asio::io_context context;
    pool pool{context.get_executor(), checking_settings(server, {.min = 1, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.query("SELECT 1");
        co_await lie_idle();
        CHECK(server.count().statements == 1);
        co_await pool.query("SELECT 2");
        co_await pool.close(1s);
    });
    CHECK(server.session(0).texts() == std::vector<std::string>{"SELECT 1", "", "SELECT 2"});
    CHECK(server.count().sessions == 1);
}

TEST_CASE("VA-2: a connection that gives no sign of life is closed in its time, and the caller has another") {
    const auto most = GENERATE(std::size_t{1}, std::size_t{2});
    scripted_server server;
    server.answer_with(dead_to_pings(1));
    asio::io_context context;
    pool pool{context.get_executor(), checking_settings(server, {.min = 1, .max = most})};
    std::int32_t answered_by = 0;
    steady_clock::duration took{};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        co_await lie_idle();
        const auto began = steady_clock::now();
        answered_by = co_await answering_session(pool);
        took = steady_clock::now() - began;
        co_await pool.close(1s);
    });
    CHECK(answered_by == 1);
    CHECK(took >= (most == 1 ? 100ms : 0ms));
    CHECK(took < 30s);
    WARN("with size.max " << most << " the caller was served after " << milliseconds(took) << " ms");
    CHECK(pool.stats().invalid == 1);
    CHECK(server.session(0).texts() == std::vector<std::string>{""});
    CHECK(server.count().most_open <= most);
}

TEST_CASE(
    "VA-3: after one was lost, those that are idle since before are asked before they are lent, and new ones not") {
    scripted_server server;
    server.answer_with(dead_to_pings(0));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 4, .max = 4});
    settings.validation.after = 60s;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        server.end(0, afterwards::reset);
        const auto replaced = [&] { return pool.stats().lost == 1 && pool.stats().idle == 4; };
        const bool again = co_await reached(replaced);
        CHECK(again);
        auto all = co_await take(pool, 4);
        for (const auto& one : all) {
            co_await one->query("SELECT 1");
        }
        all.clear();
        co_await pool.query("SELECT 2");
        co_await pool.close(1s);
    });
    for (const std::size_t i : {1U, 2U, 3U}) {
        const auto texts = server.session(i).texts();
        REQUIRE(texts.size() >= 2);
        CHECK(texts[0].empty());
        CHECK(pings(texts) == 1);
    }
    CHECK(pings(server.session(4).texts()) == 0);
}

TEST_CASE("VA-4: when all idle connections are dead and silent, the caller has a fresh one in the end") {
    const auto most = GENERATE(std::size_t{3}, std::size_t{4});
    scripted_server server;
    server.answer_with(dead_to_pings(3));
    asio::io_context context;
    pool pool{context.get_executor(), checking_settings(server, {.min = 0, .max = most})};
    std::int32_t answered_by = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto all = co_await take(pool, 3);
        all.clear();
        co_await lie_idle();
        answered_by = co_await answering_session(pool);
        co_await pool.close(1s);
    });
    CHECK(answered_by >= 3);
    CHECK(server.count().ready <= 5);
    for (const std::size_t i : {0U, 1U, 2U}) {
        CHECK(pings(server.session(i).texts()) <= 1);
    }
    CHECK(server.count().most_open <= most);
}

TEST_CASE("VA-4: a full pool of silent connections does not eat the usual deadline of five seconds") {
    scripted_server server;
    server.answer_with(dead_to_pings(10));
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 10, .max = 10});
    settings.validation.after = 50ms;
    settings.acquire.timeout = 5s;  // as by default, and a sign of life has the usual half second
    pool pool{context.get_executor(), settings};
    steady_clock::duration took{};
    std::int32_t answered_by = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        co_await lie_idle();
        const auto began = steady_clock::now();
        answered_by = co_await answering_session(pool);
        took = steady_clock::now() - began;
        co_await pool.close(1s);
    });
    CHECK(answered_by >= 10);
    WARN("VA-4: with ten silent connections the caller was served after " << milliseconds(took) << " ms");
    CHECK(server.count().most_open <= 10);
}

TEST_CASE("VA-2: a caller with little time goes on to another connection, and the slow one is not thrown away") {
    scripted_server server;
    std::atomic<int> asked{0};
    server.answer_with([&](const received_statement& what) {
        auto answer = one_row(static_cast<int>(what.session));
        answer.delay = what.text.empty() && asked++ == 0 ? 2s : 0s;  // longer than he has
        return answer;
    });
    asio::io_context context;
    auto settings = checking_settings(server, {.min = 2, .max = 2});
    settings.validation.timeout = 20s;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        co_await lie_idle();
        {
            const auto lease = co_await pool.acquire({.timeout = 1s});
            CHECK(server.count().sessions == 2);
        }
        const bool both = co_await reached([&] { return pool.stats().idle == 2; });
        CHECK(both);
        co_await pool.close(1s);
    });
    CHECK(pool.stats().invalid == 0);
    CHECK(server.count().sessions == 2);
}

namespace {

/// What a query gives on a connection whose server has just said something out of turn, and what the next one gives.
struct answers {
    std::optional<std::int32_t> now;  ///< nothing: it failed, as it may
    std::size_t rows_now = 1;
    std::int32_t later = 0;
};

answers after_stray(const std::string& bytes) {
    scripted_server server;
    server.answer_with(one_row(7));
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 1, .max = 1})};
    answers seen;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        CHECK(server.push(0, bytes) == 1);
        try {
            const auto rows = co_await pool.query("SELECT 7");  // no turn of the loop in between
            seen.rows_now = rows.size();
            if (!rows.empty()) {
                seen.now = rows[0].get<std::int32_t>(0);
            }
        } catch (const error& failed) {
            CHECK(failed.code() == errc::connection_lost);
        }
        const auto rows = co_await pool.query("SELECT 7");
        seen.later = rows[0].get<std::int32_t>(0);
        co_await pool.close(1s);
    });
    return seen;
}

}  // namespace

TEST_CASE("VA-5: what a server says out of turn is nobody's answer, even in the moment of the acquire") {
    const auto seen = after_stray(GENERATE(wire::data_row({{"999"}}, wire::type::int4, true),
                                           wire::command_complete("SELECT 1"), wire::bare('2')));
    CHECK(seen.now.value_or(7) == 7);
    CHECK(seen.rows_now == 1);
    CHECK(seen.later == 7);
}

TEST_CASE("VA-5: a ReadyForQuery out of turn does not pass for the answer of a statement that has had none") {
    const auto seen = after_stray(wire::ready(wire::transaction::open));
    CHECK(seen.rows_now == 1);
    CHECK(seen.later == 7);
}
