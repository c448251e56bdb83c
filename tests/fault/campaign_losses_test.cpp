#include "campaign.hpp"
#include "support/black_hole.hpp"
#include "support/fault_proxy.hpp"
#include "support/scripted_server.hpp"

#include <boost/asio.hpp>

#include <functional>
#include <string>

// How soon a lost connection is noticed, and its place filled again, though nobody asks for one.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using campaign::sample;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t threads = 4;
constexpr std::size_t floor_size = 3;

std::string through(const fault_proxy& line) {
    return line.url(fixture::server(), "sslmode=disable&gssencmode=disable");
}

/// Damages every idle connection again and again: how long the pool had them after that, and what borrowers met then.
struct watched {
    pool& on;
    sample noticed;
    std::size_t failed = 0;

    asio::awaitable<void> damage(std::size_t trials, std::function<void()> deed) {
        for (std::size_t i = 0; i < trials; ++i) {
            const auto restored = [&] { return on.stats().idle == floor_size; };
            const bool whole = co_await reached(restored);
            CHECK(whole);
            const auto lost_before = on.stats().lost;
            const auto begin = steady_clock::now();
            deed();
            const auto all_lost = [&] { return on.stats().lost >= lost_before + floor_size; };
            const auto took = co_await campaign::time_until(begin, all_lost);
            CHECK(took.has_value());
            noticed.add(took.value_or(30s));
            const auto next = co_await ask(on, "SELECT 'well'");
            failed += next.text == "well" ? 0 : 1;
        }
    }
};

/// With a pool on that URL, in which `deed` damages what is open.
void idle_watch(const std::string& what, const std::string& url, const std::function<void()>& deed) {
    const auto trials = campaign::scaled<std::size_t>(100, 5);
    asio::io_context context;
    auto settings = settings_on(url, "idle_watch", {.min = floor_size, .max = floor_size});
    settings.connect.backoff_initial = 10ms;
    pool pool{context.get_executor(), settings};
    watched seen{.on = pool, .noticed = {}};
    const auto everything = [&]() -> asio::awaitable<void> {
        co_await pool.start();
        co_await seen.damage(trials, deed);
        co_await pool.close(1s);
    };
    run(context, everything, threads);
    WARN("LC-11: three idle connections with " << what << " were removed: " << seen.noticed);
    CHECK(seen.failed == 0);
    CHECK(seen.noticed.quantile(0.99) <= campaign::bound(50ms));
}

}  // namespace

TEST_CASE("LC-11: an idle connection with a FIN, an RST, a 57P01 or stray bytes is removed within 50 ms") {
    SECTION("a FIN") {
        fault_proxy line{fixture::server()};
        idle_watch("a FIN", through(line), [&] { line.end_all(proxy_end::close); });
    }
    SECTION("an RST") {
        fault_proxy line{fixture::server()};
        idle_watch("an RST", through(line), [&] { line.end_all(proxy_end::reset); });
    }
    SECTION("a 57P01") {
        plain_connection observer{fixture::server().url()};
        idle_watch("a 57P01", fixture::server().url(), [&] { terminate_sessions_of(observer, "idle_watch"); });
    }
    SECTION("stray bytes") {
        scripted_server server;
        server.answer_with(one_row("well"));
        idle_watch("stray bytes", server.url(),
                   [&] { server.push(wire::data_row({{"999"}}, wire::type::int4, false)); });
    }
}

TEST_CASE("SZ-3: after a loss the floor is back within the backoff and 200 ms, without an acquire") {
    const auto trials = campaign::scaled<std::size_t>(50, 3);
    fault_proxy line{fixture::server()};
    plain_connection observer{fixture::server().url()};
    asio::io_context context;
    auto settings = settings_on(through(line), "floor", {.min = floor_size, .max = 2 * floor_size});
    settings.connect.backoff_max = 400ms;
    pool pool{context.get_executor(), settings};
    sample after_loss;
    sample after_outage;
    const auto everything = [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (std::size_t i = 0; i < trials; ++i) {
            auto lost_before = pool.stats().lost;
            const auto restored = [&] {
                return pool.stats().lost >= lost_before + floor_size && sessions_of(observer, "floor") == floor_size;
            };
            const auto killed = steady_clock::now();
            CHECK(terminate_sessions_of(observer, "floor") == floor_size);
            const auto back = co_await campaign::time_until(killed, restored);
            CHECK(back.has_value());
            after_loss.add(back.value_or(30s));
            const auto idle = [&] { return pool.stats().idle == floor_size; };
            const bool all_idle = co_await reached(idle);
            CHECK(all_idle);

            lost_before = pool.stats().lost;
            line.set_door(proxy_door::refused);
            line.end_all(proxy_end::reset);
            const auto failed_before = pool.stats().dials_failed;
            const auto backs_off = [&] {
                return pool.stats().dials_failed >= failed_before + 4;
            };  // 100, 200, 400 ms …
            const bool at_its_longest = co_await reached(backs_off);
            CHECK(at_its_longest);
            line.heal();
            const auto healed = steady_clock::now();
            const auto back_again = co_await campaign::time_until(healed, restored);
            CHECK(back_again.has_value());
            after_outage.add(back_again.value_or(30s));
            const bool idle_again = co_await reached(idle);
            CHECK(idle_again);
        }
        co_await pool.close(1s);
    };
    run(context, everything, threads);
    WARN("SZ-3: a floor of three, killed, was back: " << after_loss);
    WARN("SZ-3: after an outage, with a longest backoff of 400 ms: " << after_outage);
    CHECK(pool.stats().acquires == 0);
    CHECK(after_loss.quantile(0.99) <= campaign::bound(200ms));
    CHECK(after_outage.quantile(0.99) <= campaign::bound(400ms + 200ms));
}

TEST_CASE("TO-10: the slot of an expired lease in a black hole is back within 3 s") {
    if (const auto reason = black_hole::unavailable(); !reason.empty()) {
        WARN("SKIPPED: " << reason);
        return;
    }
    constexpr auto limit = 800ms;
    const auto trials = campaign::scaled<std::size_t>(10, 1);
    black_hole net{fixture::server()};
    plain_connection observer{fixture::server().socket_url()};
    asio::io_context context;
    auto settings = settings_on(net.url(), "expired_hole", {.min = 0, .max = 1});
    settings.lease.timeout = limit;
    pool pool{context.get_executor(), settings};
    sample told;
    sample back;
    std::size_t otherwise = 0;
    const auto everything = [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < trials; ++i) {
            const auto expired_before = pool.stats().expired;
            auto mine = co_await pool.acquire();
            const auto deadline = steady_clock::now() + limit;
            const auto sleeping = [&]() -> asio::awaitable<void> {
                const auto seen = co_await ask(*mine, "SELECT pg_sleep(60)::text");
                otherwise += seen.code == pool_errc::lease_expired ? 0 : 1;
                told.add(seen.when - deadline);
            };
            asio::co_spawn(context, sleeping(), asio::detached);
            const auto sleeps = [&] {
                return observer.count(
                           "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'expired_hole' AND "
                           "wait_event = 'PgSleep'") == 1;
            };
            const bool begun = co_await reached(sleeps);
            CHECK(begun);
            net.drop();
            const auto free = [&] { return pool.stats().expired > expired_before && pool.stats().total == 0; };
            const auto took = co_await campaign::time_until(deadline, free);
            CHECK(took.has_value());
            back.add(took.value_or(30s));
            const auto has_heard = [&] { return told.size() == i + 1; };
            const bool heard = co_await reached(has_heard);
            CHECK(heard);
            mine.release();
            net.restore();
            terminate_sessions_of(observer, "expired_hole");  // the server does not know yet
            const auto next = co_await ask(pool, "SELECT 'next'");
            CHECK(next.text == "next");
        }
        co_await pool.close(1s);
    };
    run(context, everything);
    WARN("TO-10: the holder in a black hole was told after its lease's end: " << told);
    WARN("TO-10: its slot was free: " << back);
    CHECK(otherwise == 0);
    CHECK(told.quantile(0.99) <= campaign::bound(3s));
    CHECK(back.quantile(0.99) <= campaign::bound(3s));
}
