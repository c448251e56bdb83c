#include "../integration/pool_fixture.hpp"
#include "../integration/waiting.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

// What befalls connections while nobody uses them.

TEST_CASE("LC-11: an idle session that is killed is gone before anybody gets it") {
    asio::io_context context;
    auto settings = fixture::settings("killed_idle", {.min = 0, .max = 3});
    settings.connect.url = fixture::server().url();
    pool pool{context.get_executor(), settings};
    std::size_t failed = 0;
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        for (int round = 0; round < 6; ++round) {
            auto all = co_await take(pool, 3);
            all.clear();
            const auto lost_before = pool.stats().lost;
            CHECK(terminate_sessions_of(observer, "killed_idle") == 3);
            const auto killed_at = steady_clock::now();
            const auto noticed = [&] { return pool.stats().lost == lost_before + 3; };
            const bool in_time = co_await reached(noticed);
            CHECK(in_time);
            if (round == 0) {
                WARN("noticed after " << milliseconds(steady_clock::now() - killed_at) << " ms");
            }
            const auto held = co_await pool.acquire();
            const auto code = co_await outcome_of(*held, "SELECT 1");
            failed += code ? 1 : 0;
        }
        co_await pool.close(1s);
    });
    CHECK(failed == 0);
}

TEST_CASE("LC-11: sessions that the server closes for being idle (57P05) are replaced, and no caller meets them") {
    postgres_server server{{.settings = {{"idle_session_timeout", "300"}}}};
    asio::io_context context;
    auto settings = fixture::settings("idle_timeout", {.min = 2, .max = 2});
    settings.connect.url = server.url();
    std::string words;
    pool_hooks hooks;
    hooks.log = [&](const log_record& line) { words += std::string{line.message} + "\n"; };
    pool pool{context.get_executor(), settings, hooks};
    std::size_t failed = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (int i = 0; i < 4; ++i) {
            const auto lost_before = pool.stats().lost;
            const auto ended = [&] { return pool.stats().lost > lost_before; };
            const bool noticed = co_await reached(ended);
            CHECK(noticed);
            const auto held = co_await pool.acquire();
            const auto code = co_await outcome_of(*held, "SELECT 1");
            failed += code ? 1 : 0;
        }
        co_await pool.close(1s);
    });
    CHECK(failed == 0);
    CHECK_THAT(words, has_text("idle-session timeout"));
    CHECK(pool.stats().retired == 0);  // 57P05 is one session's fate, and no reason to replace the others
}

TEST_CASE("LC-11: an idle connection with stray bytes, a FATAL, a FIN or a reset is closed before anybody gets it") {
    const auto how = GENERATE(0, 1, 2, 3, 4, 5);
    scripted_server server;
    server.answer_with(one_row(7));
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 1, .max = 1})};
    int served = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        switch (how) {
        case 0: server.push(0, wire::data_row({{"999"}}, wire::type::int4, false)); break;
        case 1: server.push(0, "no PostgreSQL at all"); break;
        case 2: server.push(0, wire::error_response({"FATAL", "57P01", "terminating connection"})); break;
        case 3: server.push(0, wire::ready(wire::transaction::open)); break;
        case 4: server.end(0, afterwards::close); break;
        default: server.end(0, afterwards::reset); break;
        }
        const auto replaced = [&] { return pool.stats().lost == 1 && pool.stats().idle == 1; };
        const bool in_time = co_await reached(replaced);
        CHECK(in_time);
        const auto rows = co_await pool.query("SELECT 7");
        served = rows[0].get<std::int32_t>(0);
        co_await pool.close(1s);
    });
    CHECK(served == 7);
    CHECK(server.session(0).statements.empty());
    CHECK(server.count().sessions == 2);
}

TEST_CASE("LC-12: the dial of a caller who gave up goes on, and its connection joins the pool") {
    scripted_server server;
    server.greet_with({.delay = 300ms});
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 0, .max = 2})};
    error_code told;
    bool at_once = false;
    run(context, [&]() -> asio::awaitable<void> {
        asio::cancellation_signal stop;
        const auto give_up = [&](error_code code, const lease&) { told = code; };
        pool.async_acquire(asio::bind_cancellation_slot(stop.slot(), give_up));
        const auto dialing = [&] { return server.count().handshakes == 1; };
        const bool dials = co_await reached(dialing);
        CHECK(dials);
        stop.emit(asio::cancellation_type::total);
        const auto ended = [&] { return static_cast<bool>(told); };
        const bool cancelled = co_await reached(ended);
        CHECK(cancelled);
        CHECK(pool.stats().idle == 0);
        const auto joined = [&] { return pool.stats().idle == 1; };
        const bool in_time = co_await reached(joined);
        CHECK(in_time);
        at_once = pool.try_acquire().has_value();
        co_await pool.close(1s);
    });
    CHECK(told == asio::error::operation_aborted);
    CHECK(at_once);
    CHECK(server.count().sessions == 1);
    CHECK(server.count().ready == 1);
}
