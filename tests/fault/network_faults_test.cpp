#include "bad_line.hpp"
#include "support/catch.hpp"

#include <boost/asio.hpp>

// What a pool makes of a bad network: a real server behind the fault proxy.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

/// How a line breaks on which sessions are open.
struct breakage {
    const char* name;
    void (*happen)(fault_proxy&);
};

constexpr breakage breakages[]{
    {"by a reset", [](fault_proxy& line) { line.end_all(proxy_end::reset); }},
    {"by an end in order", [](fault_proxy& line) { line.end_all(proxy_end::close); }},
    {"by a half-close from the server's side", [](fault_proxy& line) { line.half_close(proxy_direction::to_client); }},
    {"by a half-close from the client's side", [](fault_proxy& line) { line.half_close(proxy_direction::to_server); }},
};

}  // namespace

TEST_CASE("SA-5: a query that is cut at any byte of its answer fails once, as lost, and the pool goes on") {
    bad_line on{"cut_answer"};
    std::uint64_t answer = 0;
    std::uint64_t wrong = 0;
    std::string failure;
    run(on.context, [&]() -> asio::awaitable<void> {
        const auto whole = co_await on.handshake();
        {
            const auto before = on.proxy.counts().to_client;
            const auto seen = co_await ask(on.pool, "SELECT 'whole'");
            CHECK(seen.text == "whole");
            answer = on.proxy.counts().to_client - before - whole.to_client;
        }
        on.pool.evict_all();
        co_await on.empty();
        for (std::uint64_t at = 0; at < answer; ++at) {
            on.proxy.set(cut(proxy_direction::to_client, whole.to_client + at, proxy_end::close),
                         sessions_of_proxy::next);
            const auto gone = on.gone();
            fate cut_off;
            {
                auto lease = co_await on.pool.acquire();
                cut_off = co_await ask(*lease, "SELECT 'whole'");
            }
            const auto next = co_await ask(on.pool, "SELECT 'next'");
            if (cut_off.code != errc::connection_lost || on.gone() != gone + 1 || next.text != "next") {
                ++wrong;
                failure = std::to_string(at) + ": " + cut_off.text + "; then " + next.text;
            }
            on.pool.evict_all();
            const bool none_left = co_await on.empty();
            CHECK(none_left);
        }
        co_await on.pool.close(1s);
    });
    INFO(failure);
    CHECK(answer > 20);
    CHECK(wrong == 0);
}

TEST_CASE("SA-5: in packets of one byte dials and queries end right") {
    bad_line on{"one_byte", {.min = 2, .max = 2}};
    const std::string text(5'000, 'x');
    run(on.context, [&]() -> asio::awaitable<void> {
        const flow_faults slow{.packet = 1, .packet_gap = 50us};
        on.proxy.set({.to_server = slow, .to_client = slow});
        co_await on.pool.start();
        const auto few = co_await ask(on.pool, "SELECT 'few' || 'er'");
        CHECK(few.text == "fewer");
        const flow_faults fast{.packet = 1};
        on.proxy.set({.to_server = fast, .to_client = fast});
        for (int i = 0; i < 5; ++i) {
            const auto rows = co_await on.pool.query("SELECT $1::text || '!'", text);
            CHECK(rows[0].get<std::string>(0) == text + "!");
        }
        const auto refused = co_await ask(on.pool, "SELECT no_such_column");
        CHECK(refused.code == sqlstate::undefined_column);
        co_await on.pool.close(1s);
    });
    CHECK(on.pool.stats().dials_failed == 0);
    CHECK(on.pool.stats().lost == 0);
}

TEST_CASE("SA-5: a slow and narrow line delays answers and changes nothing else") {
    bad_line on{"slow_line", {.min = 1, .max = 1}};
    run(on.context, [&]() -> asio::awaitable<void> {
        on.proxy.set({.to_server = {.delay = 20ms}, .to_client = {.delay = 20ms, .bandwidth = 100'000}});
        co_await on.pool.start();
        const auto bursts = on.proxy.counts().bursts;
        for (int i = 0; i < 5; ++i) {
            const auto begin = steady_clock::now();
            const auto seen = co_await ask(on.pool, "SELECT 'late'");
            CHECK(seen.text == "late");
            CHECK(seen.when - begin >= 40ms);
        }
        CHECK(on.proxy.counts().bursts == bursts + 5);  // one round trip a statement, none for the return
        const auto begin = steady_clock::now();
        const auto wide = co_await ask(on.pool, "SELECT repeat('x', 30000)");
        CHECK(wide.text.size() == 30'000);
        CHECK(wide.when - begin >= 300ms);
        co_await on.pool.close(1s);
    });
    CHECK(on.pool.stats().dials == 1);
    CHECK(on.pool.stats().lost == 0);
}

TEST_CASE("SA-5: a query whose line breaks fails once, as lost, and the pool goes on") {
    // Not by a half-close from the client's side: while a statement runs the server does not look, and goes on.
    const auto& breaks = breakages[GENERATE(0U, 1U, 2U)];
    INFO(breaks.name);
    bad_line on{"broken_line", {.min = 1, .max = 1}};
    fate broken;
    std::size_t times = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        const auto query = [&]() -> asio::awaitable<void> {
            broken = co_await ask(on.pool, "SELECT pg_sleep(60)::text");
            ++times;
        };
        asio::co_spawn(on.context, query(), asio::detached);
        plain_connection observer{fixture::server().url()};
        const auto sleeping = [&] {
            return observer.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'broken_line' AND "
                                  "query LIKE '%pg_sleep%' AND state = 'active'") == 1;
        };
        const bool sleeping_in_time = co_await reached(sleeping);
        CHECK(sleeping_in_time);
        const auto begin = steady_clock::now();
        breaks.happen(on.proxy);
        const auto next = co_await ask(on.pool, "SELECT 'next'");
        CHECK(next.text == "next");
        CHECK(times == 1);
        CHECK(broken.when - begin < 2s);
        terminate_sessions_of(observer, "broken_line");  // it sleeps on, and sees only then that its client has gone
        co_await on.pool.close(1s);
    });
    INFO(broken.text);
    CHECK(broken.code == errc::connection_lost);
    CHECK(times == 1);
}

TEST_CASE("SA-5: idle sessions whose line breaks are replaced before anybody asks") {
    const auto& breaks = breakages[GENERATE(0U, 1U, 2U, 3U)];
    INFO(breaks.name);
    bad_line on{"broken_idle", {.min = 3, .max = 3}};
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        breaks.happen(on.proxy);
        const auto replaced = [&] { return on.pool.stats().lost == 3 && on.pool.stats().idle == 3; };
        const bool replaced_in_time = co_await reached(replaced);
        CHECK(replaced_in_time);
        const auto next = co_await ask(on.pool, "SELECT 'next'");
        CHECK(next.text == "next");
        co_await on.pool.close(1s);
    });
    CHECK(on.pool.stats().dials_failed == 0);
}

TEST_CASE("SA-5: while the door is closed dials fail one by one, and waiters are served when it opens") {
    bad_line on{"closed_door", {.min = 0, .max = 4}};
    proxy_door door = proxy_door::refused;
    SECTION("refused") {}
    SECTION("accepted and closed") { door = proxy_door::closed; }
    SECTION("accepted and reset") { door = proxy_door::reset; }
    std::size_t answered = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        on.proxy.set_door(door);
        const auto client = [&]() -> asio::awaitable<void> {
            const auto seen = co_await ask(on.pool, "SELECT 'in'");
            answered += seen.text == "in" ? 1 : 0;
        };
        for (int i = 0; i < 20; ++i) {
            asio::co_spawn(on.context, client(), asio::detached);
        }
        const auto failed = [&] { return on.pool.stats().dials_failed >= 5; };
        const bool failed_in_time = co_await reached(failed);
        CHECK(failed_in_time);
        CHECK(on.pool.stats().waiting == 20);
        on.proxy.heal();
        const auto all_answered = [&] { return answered == 20; };
        const bool answered_in_time = co_await reached(all_answered);
        CHECK(answered_in_time);
        co_await on.pool.close(1s);
    });
    CHECK(answered == 20);
    CHECK(on.proxy.counts().most_open <= 4);
}
