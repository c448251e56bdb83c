#include "connection_fixture.hpp"
#include "support/catch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <optional>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;
using boost::asio::awaitable;
using std::chrono::steady_clock;

/// What a session's owner was told.
struct loss {
    error_code code;
    diagnostics said;
    int times = 0;

    pg::session::events events() {
        pg::session::events to;
        to.lost = [this](error_code why, const diagnostics& words) {
            code = why;
            said = words;
            ++times;
        };
        return to;
    }
};

void terminate(int backend_pid) {
    scalar(server().url(), "SELECT pg_terminate_backend(" + std::to_string(backend_pid) + ")");
}

TEST_CASE("an idle session that the server ends is seen at once, with the server's words") {
    boost::asio::io_context context;
    loss seen;
    lone_connection on{open_session(context.get_executor(), server().url(), seen.events())};
    terminate(on.backend_pid());
    const auto begin = steady_clock::now();
    context.run_for(5s);  // returns when nothing is watched any more
    CHECK(steady_clock::now() - begin < 2s);
    CHECK(seen.times == 1);
    CHECK(seen.code == sqlstate::admin_shutdown);
    CHECK(seen.said.severity == "FATAL");
    CHECK(seen.said.message.find("administrator command") != std::string::npos);
    CHECK(on.session().state() == pg::session_state::broken);
    const auto late = [&]() -> awaitable<void> {
        const error refused = co_await error_of(on.query("SELECT 1"));
        CHECK(refused.code() == sqlstate::admin_shutdown);
        CHECK(refused.code() == errc::connection_lost);
    };
    run(context, late);
}

TEST_CASE("a statement whose session the server ends fails with the server's words, once the owner has been told") {
    loss seen;
    int told_before = -1;
    with_connection(
        [&](connection& on) -> awaitable<void> {
            auto killed = once_asleep(on.backend_pid(), [pid = on.backend_pid()] { terminate(pid); });
            const error failed = co_await error_of(on.query("SELECT pg_sleep(60)"));
            CHECK(killed.get());
            told_before = seen.times;
            CHECK(failed.code() == sqlstate::admin_shutdown);
            CHECK(failed.code() == errc::connection_lost);
            CHECK(failed.message().find("administrator command") != std::string_view::npos);
        },
        server().url(), seen.events());
    CHECK(told_before == 1);
    CHECK(seen.times == 1);
    CHECK(seen.code == sqlstate::admin_shutdown);
}

TEST_CASE("a session that ends itself fails as lost") {
    loss seen;
    with_connection(
        [&](connection& on) -> awaitable<void> {
            const error failed =
                co_await error_of(on.query("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"));
            CHECK(failed.code() == errc::connection_lost);
        },
        server().url(), seen.events());
    CHECK(seen.times == 1);
}

TEST_CASE("a session whose server process is killed fails as lost") {
    loss seen;
    with_connection(
        [&](connection& on) -> awaitable<void> {
            auto stopped = once_asleep(on.backend_pid(), [] { server().stop(stop_mode::immediate); });
            const error failed = co_await error_of(on.query("SELECT pg_sleep(60)"));
            CHECK(stopped.get());
            CHECK(failed.code() == errc::connection_lost);
            CHECK_FALSE(failed.message().empty());
        },
        server().url(), seen.events());
    CHECK(seen.times == 1);
    server().start();
}

TEST_CASE("idle sessions see that the server stops") {
    boost::asio::io_context context;
    std::vector<loss> seen(3);
    std::vector<std::unique_ptr<lone_connection>> all;
    for (auto& one : seen) {
        all.push_back(
            std::make_unique<lone_connection>(open_session(context.get_executor(), server().url(), one.events())));
    }
    server().stop(stop_mode::fast);
    context.run_for(5s);
    for (const auto& one : seen) {
        CHECK(one.times == 1);
        CHECK(one.code == errc::connection_lost);
    }
    server().start();
}

TEST_CASE("a cancelled statement ends at once, and its session can be closed before it is quiet") {
    boost::asio::io_context context;
    boost::asio::cancellation_signal stop;
    boost::asio::steady_timer timer{context, 200ms};
    loss seen;
    auto on = std::make_optional<lone_connection>(open_session(context.get_executor(), server().url(), seen.events()));
    const int pid = on->backend_pid();
    error_code outcome;
    steady_clock::duration took{};
    const auto body = [&]() -> awaitable<void> {
        const auto begin = steady_clock::now();
        const error failed = co_await error_of(on->query("SELECT pg_sleep(60)"));
        took = steady_clock::now() - begin;
        outcome = failed.code();
    };
    bool closed = false;
    boost::asio::co_spawn(context, body(),
                          boost::asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr thrown) {
                              CHECK_FALSE(thrown);
                              CHECK(on->session().state() == pg::session_state::busy);
                              on->session().close(pool_errc::closed, [&] { closed = true; });
                          }));
    timer.async_wait([&](error_code) { stop.emit(boost::asio::cancellation_type::terminal); });
    context.run();
    CHECK(outcome == boost::asio::error::operation_aborted);
    CHECK(took < 5s);
    CHECK(closed);
    CHECK(seen.times == 0);
    CHECK(session_gone(pid));
}

TEST_CASE("a cancellation that comes after the outcome changes nothing") {
    boost::asio::io_context context;
    boost::asio::cancellation_signal stop;
    lone_connection on{open_session(context.get_executor(), server().url())};
    const auto body = [&]() -> awaitable<void> {
        (void)co_await on.query("SELECT 1");
        stop.emit(boost::asio::cancellation_type::terminal);
        CHECK(on.session().state() == pg::session_state::clean);
        on.session().close(pool_errc::closed, [] {});
    };
    boost::asio::co_spawn(
        context, body(),
        boost::asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr thrown) { CHECK_FALSE(thrown); }));
    context.run();
}

TEST_CASE("closing ends the statement under way with the reason, on the server too") {
    boost::asio::io_context context;
    boost::asio::steady_timer timer{context, 200ms};
    lone_connection on{open_session(context.get_executor(), server().url())};
    const int pid = on.backend_pid();
    bool closed = false;
    int told = 0;
    timer.async_wait([&](error_code) {
        on.session().close(pool_errc::closed, [&] { closed = true; });
        on.session().close(pool_errc::closed, [&] { ++told; });
    });
    const auto body = [&]() -> awaitable<void> {
        const error failed = co_await error_of(on.query("SELECT pg_sleep(60)"));
        CHECK(failed.code() == pool_errc::closed);
    };
    run(context, body);
    CHECK(closed);
    CHECK(told == 0);
    CHECK(session_gone(pid));
}

TEST_CASE("a session is closed once it has left the server's list") {
    for (int i = 0; i < 20; ++i) {
        boost::asio::io_context context;
        lone_connection on{open_session(context.get_executor(), server().url())};
        plain_connection observer{server().url()};
        const auto asked = count_of_session(on.backend_pid());
        CHECK(observer.count(asked) == 1);
        std::size_t left = 1;
        on.session().close(pool_errc::closed, [&] { left = observer.count(asked); });
        context.run();
        CHECK(left == 0);
    }
}

TEST_CASE("closing does not wait longer than a second for a server that answers nothing") {
    boost::asio::io_context context;
    lone_connection idle{open_session(context.get_executor(), server().url())};
    lone_connection busy{open_session(context.get_executor(), server().url())};
    server().pause();
    boost::asio::steady_timer timer{context, 50ms};
    int closed = 0;
    timer.async_wait([&](error_code) {
        idle.session().close(pool_errc::closed, [&] { ++closed; });
        busy.session().close(pool_errc::closed, [&] { ++closed; });
    });
    const auto begin = steady_clock::now();
    const auto body = [&]() -> awaitable<void> {
        const error failed = co_await error_of(busy.query("SELECT 1"));
        CHECK(failed.code() == pool_errc::closed);
    };
    run(context, body);
    CHECK(closed == 2);
    CHECK(steady_clock::now() - begin < 5s);
    server().resume();
}

/// Counts the frames that live.
struct counted {
    explicit counted(int& in) : count{in} { ++count; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --count; }
    int& count;
};

TEST_CASE("an execution context may be destroyed while statements wait") {
    int frames = 0;
    std::vector<std::shared_ptr<pg::session>> survivors;
    {
        boost::asio::io_context context;
        std::vector<std::unique_ptr<lone_connection>> all;
        const auto body = [&](lone_connection& on) -> awaitable<void> {
            const counted here{frames};
            (void)co_await on.query("SELECT pg_sleep(60)");
        };
        for (int i = 0; i < 3; ++i) {
            survivors.push_back(open_session(context.get_executor(), server().url()));
            all.push_back(std::make_unique<lone_connection>(survivors.back()));
            boost::asio::co_spawn(context, body(*all.back()), [](std::exception_ptr) { CHECK(false); });
        }
        survivors.push_back(open_session(context.get_executor(), server().url()));
        survivors[3]->close(pool_errc::closed, [] {});  // may or may not end before its context
        context.poll();
        CHECK(frames == 3);
    }
    CHECK(frames == 0);
    for (const auto& one : survivors) {
        CHECK(one->state() == pg::session_state::broken);
    }
}

TEST_CASE("a session may be let go of at any moment, in any thread") {
    boost::asio::io_context context;
    auto stay = boost::asio::make_work_guard(context);
    std::jthread runner{[&] { context.run(); }};
    std::vector<int> pids;
    for (int i = 0; i < 20; ++i) {
        auto session = open_session(context.get_executor(), server().url());
        pids.push_back(session->backend_pid());
        if (i % 2 == 0) {
            terminate(session->backend_pid());
        }
        session.reset();
    }
    for (const int pid : pids) {
        CHECK(session_gone(pid));
    }
    stay.reset();
}

}  // namespace
