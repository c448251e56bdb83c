#include "campaign.hpp"
#include "support/fault_proxy.hpp"

#include <boost/asio.hpp>

#include <optional>

// The end of a pool in the middle of everything.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using campaign::canary;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t silent = 5;  // leases whose query's answer never comes
constexpr std::size_t busy = 10;   // leases with a long query
constexpr std::size_t quiet = 35;  // leases that somebody keeps
constexpr std::size_t dialling = 3;

struct score {
    std::atomic<int> alive{0};  // coroutines and handlers
    std::atomic<std::size_t> told{0};
    std::atomic<std::size_t> told_otherwise{0};
    std::atomic<steady_clock::rep> last_told{0};
    std::atomic<std::size_t> queries_closed{0};
    std::atomic<std::size_t> queries_otherwise{0};
    std::atomic<bool> over{false};
};

asio::awaitable<void> work(lease mine, score& seen) {
    const canary alive{seen.alive};
    error_code code;
    try {
        co_await mine->query("SELECT pg_sleep(600)");
    } catch (const boost::system::system_error& failure) {
        code = failure.code();
    }
    ++(code == pool_errc::closed ? seen.queries_closed : seen.queries_otherwise);
}

asio::awaitable<void> keep(lease mine, score& seen) {
    const canary alive{seen.alive};
    while (!seen.over) {
        co_await pause(20ms);
    }
    mine.release();
}

struct scene {
    explicit scene(const std::string& application) : name{application} {}

    pool_settings settings() const {
        auto chosen = settings_on(line.url(fixture::server(), "sslmode=disable&gssencmode=disable"), name,
                                  {.min = 0, .max = silent + busy + quiet + dialling});
        chosen.connect.max_connecting = dialling;
        chosen.connect.anticipation = 0ms;
        chosen.connect.timeout = 30s;
        chosen.acquire.timeout = 300s;
        return chosen;
    }

    asio::awaitable<std::vector<lease>> take(std::size_t count) {
        std::vector<lease> all;
        for (std::size_t i = 0; i < count; ++i) {
            auto one = co_await pool.acquire();
            all.push_back(std::move(one));
        }
        co_return all;
    }

    void wait(std::size_t waiters) {
        for (std::size_t i = 0; i < waiters; ++i) {
            auto told = [this, alive = canary{seen.alive}](const error_code& code, const lease&) {
                ++(code == pool_errc::closed ? seen.told : seen.told_otherwise);
                const auto now = steady_clock::now().time_since_epoch().count();
                for (auto before = seen.last_told.load();
                     before < now && !seen.last_told.compare_exchange_weak(before, now);) {
                }
            };
            pool.async_acquire(std::move(told));
        }
    }

    /// Leases out of each kind, dials that hang, and a crowd that waits.
    asio::awaitable<void> set(std::size_t waiters) {
        auto first = co_await take(silent);
        for (auto& one : first) {
            asio::co_spawn(context, work(std::move(one), seen), asio::detached);
        }
        plain_connection observer{fixture::server().url()};
        const auto asked =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' "
            "AND application_name = '" +
            name + "'";
        const auto first_sleep = [&] { return observer.count(asked) == silent; };
        const bool asleep = co_await reached(first_sleep);
        CHECK(asleep);
        const line_faults stopped{.to_server = {.stopped = true}, .to_client = {.stopped = true}};
        line.set(stopped, sessions_of_proxy::open);
        auto second = co_await take(busy);
        for (auto& one : second) {
            asio::co_spawn(context, work(std::move(one), seen), asio::detached);
        }
        auto third = co_await take(quiet);
        for (auto& one : third) {
            asio::co_spawn(context, keep(std::move(one), seen), asio::detached);
        }
        const auto all_sleep = [&] { return observer.count(asked) == silent + busy; };
        const bool all_asleep = co_await reached(all_sleep);
        CHECK(all_asleep);
        line.set(stopped, sessions_of_proxy::come);
        wait(waiters);
        const auto as_set = [&] {
            const pool_counts now = pool.stats();
            return now.waiting == waiters && now.leased == silent + busy + quiet && now.connecting == dialling;
        };
        const bool set = co_await reached(as_set);
        CHECK(set);
    }

    std::string name;
    asio::io_context context;
    fault_proxy line{fixture::server()};
    trunkline::pool pool{context.get_executor(), settings()};
    score seen;
};

void close_all(std::size_t threads, const std::string& name) {
    const auto waiters = campaign::scaled<std::size_t>(10'000, 10'000);
    const auto grace = campaign::full() ? 5'000ms : 500ms;
    CHECK(fixture::sessions(name) == 0);  // the server is up
    const auto descriptors = open_descriptors();
    std::optional<scene> on{name};
    steady_clock::time_point begin;
    steady_clock::duration took{};
    const auto everything = [&]() -> asio::awaitable<void> {
        const canary alive{on->seen.alive};
        co_await on->set(waiters);
        begin = steady_clock::now();
        co_await on->pool.close(grace);
        took = steady_clock::now() - begin;
        on->seen.over = true;
    };
    run(on->context, everything, threads);
    const auto& seen = on->seen;
    const auto until_told = steady_clock::time_point{steady_clock::duration{seen.last_told}} - begin;
    const auto total = on->pool.stats().total;
    on->line.heal();
    const auto told = seen.told.load();
    const auto alive = seen.alive.load();
    const auto closed = seen.queries_closed.load();
    CHECK(seen.told_otherwise == 0);
    CHECK(seen.queries_otherwise == 0);
    on.reset();
    auto left = open_descriptors();
    // libpq before 17 asks a server to stop a statement with a call that blocks, here until the proxy has gone.
    for (int i = 0; i < 500 && left > descriptors; ++i) {
        std::this_thread::sleep_for(10ms);
        left = open_descriptors();
    }
    std::size_t sessions = fixture::sessions(name);
    for (int i = 0; i < 500 && sessions > 0; ++i) {  // the proxy has reset the server's side of the silent ones
        std::this_thread::sleep_for(10ms);
        plain_connection observer{fixture::server().url()};
        sessions =
            sessions_of(observer, name) -
            observer.count(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND "
                "application_name = '" +
                name + "'");
    }
    plain_connection observer{fixture::server().url()};
    terminate_sessions_of(observer,
                          name);  // a server in the middle of a statement does not see that its client has gone
    WARN("SH-1, SH-2 (" << threads << " threads): " << told << " waiters told, the last after "
                        << campaign::in_ms(until_told) << "; closed after " << campaign::in_ms(took)
                        << " with a grace of " << campaign::in_ms(grace) << "; left: " << left - descriptors
                        << " descriptors, " << alive << " coroutines or handlers, " << sessions << " sessions");
    CHECK(told == waiters);
    CHECK(until_told <= campaign::bound(50ms));
    CHECK(took <= grace + 3s + (campaign::full() ? 0ms : 1'000ms));
    CHECK(closed == silent + busy);
    CHECK(total == 0);
    CHECK(alive == 0);
    CHECK(left == descriptors);
    CHECK(sessions == 0);
}

}  // namespace

TEST_CASE("SH-1, SH-2, SH-3, SH-5: with 10,000 waiting, 50 leases out and dials under way a pool closes in time") {
    close_all(1, "close_alone");
}

TEST_CASE("SH-1, SH-2, SH-3, SH-5: on four threads a pool closes in time too, and leaves nothing") {
    close_all(4, "close_threads");
}
