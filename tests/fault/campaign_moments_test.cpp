#include "campaign.hpp"
#include "support/fault_proxy.hpp"

#include <boost/asio.hpp>

#include <string>

// How soon a pool answers, refuses, grows and shrinks: the promises of a few milliseconds, each seen many times.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using campaign::sample;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t threads = 4;

/// How long a call took that should be refused at once, and whether it was for that reason.
asio::awaitable<bool> refused_for(pool_errc reason, pool& from, sample& into) {
    const auto begin = steady_clock::now();
    error_code code;
    try {
        const auto given = co_await from.acquire();
    } catch (const error& refused) {
        code = refused.code();
    }
    into.add(steady_clock::now() - begin);
    co_return code == reason;
}

/// Ten thousand callers with deadlines of their own, none of whom is served: how late each of them is told.
class expiring_crowd {
public:
    explicit expiring_crowd(std::size_t size) : late_(size) {}

    void wait(pool& at, std::size_t which, std::chrono::milliseconds patience) {
        const auto deadline = steady_clock::now() + patience;
        at.async_acquire({.timeout = patience}, [this, which, deadline](const error_code& code, const lease&) {
            late_[which] = steady_clock::now() - deadline;
            otherwise_ += code == pool_errc::acquire_timeout ? 0 : 1;
            ++told_;
        });
    }
    [[nodiscard]] std::size_t told() const noexcept { return told_; }
    [[nodiscard]] std::size_t told_otherwise() const noexcept { return otherwise_; }
    [[nodiscard]] sample late() const {
        sample all;
        for (const auto one : late_) {
            all.add(one);
        }
        return all;
    }

private:
    std::vector<std::chrono::nanoseconds> late_;
    std::atomic<std::size_t> told_{0};
    std::atomic<std::size_t> otherwise_{0};
};

/// With `spread` their deadlines lie a millisecond apart, ten on each, in no order; without it they are all the same.
sample expire(std::size_t waiters, bool spread) {
    asio::io_context context;
    auto settings = settings_on(fixture::server(), "expiring", {.min = 1, .max = 1});
    pool pool{context.get_executor(), settings};
    expiring_crowd crowd{waiters};
    const auto everything = [&]() -> asio::awaitable<void> {
        const auto held = co_await pool.acquire();
        for (std::size_t i = 0; i < waiters; ++i) {
            const auto turn = static_cast<std::int64_t>(i * 7'919 % waiters);
            crowd.wait(pool, i, spread ? 1s + std::chrono::milliseconds{turn / 10} : 1'000ms);
        }
        const auto all_told = [&] { return crowd.told() == waiters; };
        const bool told = co_await reached(all_told);
        CHECK(told);
    };
    const auto whole = [&]() -> asio::awaitable<void> {
        co_await everything();
        co_await pool.close(1s);
    };
    run(context, whole, threads);
    CHECK(crowd.told_otherwise() == 0);
    return crowd.late();
}

}  // namespace

TEST_CASE("AQ-5: of 10,000 who wait each is told within 5 ms of its deadline") {
    constexpr std::size_t waiters = 10'000;
    const auto one_by_one = expire(waiters, true);
    const auto at_once = expire(waiters, false);
    WARN("AQ-5: of 10,000 who wait, told after their deadlines, ten on each millisecond: " << one_by_one);
    WARN("AQ-5: the same, all deadlines in the same moment: " << at_once);
    CHECK(one_by_one.quantile(0.99) <= campaign::bound(5ms));
    CHECK(at_once.quantile(0.99) <= campaign::bound(5ms));
    CHECK(one_by_one.quantile(0) >= 0ns);  // nobody too early
    CHECK(at_once.quantile(0) >= 0ns);
}

TEST_CASE("AQ-7: the call beyond a full queue is refused within 1 ms") {
    const auto trials = campaign::scaled<std::size_t>(10'000, 1'000);
    asio::io_context context;
    auto settings = settings_on(fixture::server(), "full_queue", {.min = 1, .max = 1});
    settings.acquire.max_waiting = campaign::scaled<std::size_t>(100'000, 5'000);
    settings.acquire.timeout = 300s;
    pool pool{context.get_executor(), settings};
    std::atomic<std::size_t> told{0};
    std::size_t refused = 0;
    sample took;
    const auto everything = [&]() -> asio::awaitable<void> {
        const auto held = co_await pool.acquire();
        for (std::size_t i = 0; i < settings.acquire.max_waiting; ++i) {
            pool.async_acquire([&](const error_code&, const lease&) { ++told; });
        }
        CHECK(pool.stats().waiting == settings.acquire.max_waiting);
        for (std::size_t i = 0; i < trials; ++i) {
            refused += co_await refused_for(pool_errc::queue_full, pool, took) ? 1 : 0;
        }
    };
    const auto whole = [&]() -> asio::awaitable<void> {
        co_await everything();
        co_await pool.close(1s);
    };
    run(context, whole, threads);
    WARN("AQ-7: refused by a queue of " << settings.acquire.max_waiting << ": " << took);
    CHECK(refused == trials);
    CHECK(told == settings.acquire.max_waiting);
    CHECK(took.quantile(0.99) <= campaign::bound(1ms));
}

TEST_CASE("RE-6: in an outage that is old enough a caller has its answer within 1 ms") {
    const auto trials = campaign::scaled<std::size_t>(10'000, 1'000);
    fault_proxy line{fixture::server()};
    asio::io_context context;
    auto settings = settings_on(line.url(fixture::server(), "sslmode=disable&gssencmode=disable"), "failing_fast",
                                {.min = 1, .max = 4});
    settings.recovery.fail_fast_after = 300ms;
    settings.acquire.timeout = 500ms;  // of those who come before that
    pool pool{context.get_executor(), settings};
    std::size_t refused = 0;
    sample took;
    run(
        context,
        [&]() -> asio::awaitable<void> {
            co_await pool.start();
            line.set_door(proxy_door::refused);
            line.end_all(proxy_end::reset);
            sample before;
            const auto down = [&] { return pool.last_connect_error() != nullptr; };
            const bool is_down = co_await reached(down);
            CHECK(is_down);
            while (!co_await refused_for(pool_errc::unavailable, pool, before)) {  // those wait for the prober
            }
            for (std::size_t i = 0; i < trials; ++i) {
                refused += co_await refused_for(pool_errc::unavailable, pool, took) ? 1 : 0;
            }
            line.heal();
            const auto back = [&] { return pool.stats().idle > 0; };
            const bool is_back = co_await reached(back);
            CHECK(is_back);
            const auto next = co_await ask(pool, "SELECT 'next'");
            CHECK(next.text == "next");
            co_await pool.close(1s);
        },
        threads);
    WARN("RE-6: told in an outage: " << took);
    CHECK(refused == trials);
    CHECK(took.quantile(0.99) <= campaign::bound(1ms));
}

TEST_CASE("SZ-9: the first connect of a growth starts within 1 ms, and a shrink closes what is free within 100 ms") {
    const auto trials = campaign::scaled<std::size_t>(200, 10);
    fault_proxy line{fixture::server()};
    plain_connection observer{fixture::server().url()};
    asio::io_context context;
    const auto narrow =
        settings_on(line.url(fixture::server(), "sslmode=disable&gssencmode=disable"), "resized", {.min = 0, .max = 1});
    auto wide = narrow;
    wide.size.max = 4;
    pool pool{context.get_executor(), narrow};
    sample growth;
    sample shrink;
    run(
        context,
        [&]() -> asio::awaitable<void> {
            auto held = co_await pool.acquire();
            const auto only_one = [&] { return sessions_of(observer, "resized") == 1; };
            for (std::size_t i = 0; i < trials; ++i) {
                std::atomic<bool> served{false};
                lease second;
                pool.async_acquire([&](const error_code&, lease lent) {
                    second = std::move(lent);
                    served = true;
                });
                const auto before = line.counts().accepted;
                const auto grown = steady_clock::now();
                pool.reconfigure(wide);
                const auto has_it = [&] { return served.load(); };
                const bool in_time = co_await reached(has_it);
                CHECK(in_time);
                growth.add(line.accepts().at(before) - grown);
                {
                    auto third = co_await pool.acquire();
                    auto fourth = co_await pool.acquire();
                }
                second.release();
                const auto shrunk = steady_clock::now();
                pool.reconfigure(narrow);
                const auto took = co_await campaign::time_until(shrunk, only_one);
                CHECK(took.has_value());
                shrink.add(took.value_or(30s));
                const auto closed = [&] { return pool.stats().total == 1; };  // those that close count against max
                const bool all_closed = co_await reached(closed);
                CHECK(all_closed);
            }
            const auto unbroken = co_await ask(*held, "SELECT 'unbroken'");
            CHECK(unbroken.text == "unbroken");
            held.release();
            co_await pool.close(1s);
        },
        threads);
    WARN("SZ-9: the first connect arrived after the call: " << growth);
    WARN("SZ-9: three idle sessions had gone, by pg_stat_activity, after the call: " << shrink);
    CHECK(growth.quantile(0.99) <= campaign::bound(1ms));
    CHECK(shrink.quantile(0.99) <= campaign::bound(100ms));
}

TEST_CASE("SZ-4: a spike on 5 idle connections opens at most one more, with the default pause") {
    const auto trials = campaign::scaled<std::size_t>(20, 3);
    constexpr std::size_t requests = 50;
    std::size_t most = 0;
    std::string totals;
    sample connect;
    for (std::size_t trial = 0; trial < trials; ++trial) {
        fault_proxy line{fixture::server()};
        asio::io_context context;
        const auto url = line.url(fixture::server(), "sslmode=disable&gssencmode=disable");
        pool pool{context.get_executor(), settings_on(url, "spike", {.min = 5, .max = 50})};
        std::atomic<std::size_t> answered{0};
        const auto request = [&]() -> asio::awaitable<void> {
            const auto seen = co_await ask(pool, "SELECT pg_sleep(0.002)::text");
            answered += seen.code ? 0 : 1;
        };
        run(
            context,
            [&]() -> asio::awaitable<void> {
                co_await pool.start();
                const line_faults slow{.to_server = {}, .to_client = {.delay = 50ms}};
                line.set(slow, sessions_of_proxy::come);
                for (std::size_t i = 0; i < requests; ++i) {
                    asio::co_spawn(context, request(), asio::detached);
                }
                const auto all_answered = [&] { return answered == requests; };
                const bool in_time = co_await reached(all_answered);
                CHECK(in_time);
                const auto settled = [&] { return pool.stats().connecting == 0; };
                const bool no_more = co_await reached(settled);
                CHECK(no_more);
                const auto begin = steady_clock::now();
                const plain_connection measuring{url};
                connect.add(steady_clock::now() - begin);
                co_await pool.close(1s);
            },
            threads);
        const auto total = line.counts().accepted - 1;  // one measured
        most = std::max(most, total);
        totals += " " + std::to_string(total);
    }
    WARN("SZ-4: with a connect of " << campaign::in_ms(connect.median()) << " connections in all:" << totals);
    CHECK(connect.median() >= 150ms);
    CHECK(most <= (campaign::full() ? 6 : 50));
}
