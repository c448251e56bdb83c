#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/lease_history.hpp"
#include "support/run.hpp"
#include "support/sanitizer.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <deque>
#include <random>
#include <vector>

// Callers on four threads write down what they see, and the pool's order is judged by that alone.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

#ifdef TRUNKLINE_TEST_SANITIZED
constexpr std::size_t calls_of_each = 200;
#else
constexpr std::size_t calls_of_each = 2'000;
#endif
constexpr std::size_t connections = 4;
constexpr std::size_t callers = 32;
constexpr std::size_t threads = 4;

using strand = asio::strand<asio::any_io_executor>;

/// One caller, on a strand of its own.
struct caller {
    explicit caller(asio::io_context& on, std::uint64_t seed) : home{on.get_executor()}, dice{seed} {}

    strand home;
    std::mt19937_64 dice;
    std::vector<leasing> seen;
    asio::cancellation_signal cancel;
    lease held;
    bool told = false;
    std::size_t ends = 0;
};

void on_told(caller& who, event_counter& moments, const error_code& code, lease got) {
    leasing& now = who.seen.back();
    now.told = moments.next();
    now.session = code ? 0 : got->backend_pid();
    who.held = std::move(got);
    who.told = true;
    ++who.ends;
}

/// Asks, sometimes gives up, holds what it gets for a moment.
asio::awaitable<void> call(pool& from, caller& who, event_counter& moments) {
    who.seen.emplace_back();
    who.told = false;
    who.seen.back().called = moments.next();
    from.async_acquire({.timeout = 60s},
                       asio::bind_executor(who.home, asio::bind_cancellation_slot(
                                                         who.cancel.slot(), [&](const error_code& code, lease got) {
                                                             on_told(who, moments, code, std::move(got));
                                                         })));
    who.seen.back().waiting = moments.next();
    if (who.dice() % 8 == 0) {
        co_await asio::post(who.home, asio::use_awaitable);
        if (!who.told) {
            who.cancel.emit(asio::cancellation_type::total);
        }
    }
    while (!who.told) {
        co_await asio::post(who.home, asio::use_awaitable);
    }
    for (auto turns = who.dice() % 4; turns > 0; --turns) {
        co_await asio::post(who.home, asio::use_awaitable);
    }
    if (who.held) {
        who.seen.back().returned = moments.next();
        who.held.release();
    }
}

asio::awaitable<void> keep_calling(pool& from, caller& who, event_counter& moments, std::atomic<std::size_t>& busy) {
    for (std::size_t i = 0; i < calls_of_each; ++i) {
        co_await call(from, who, moments);
    }
    --busy;
}

}  // namespace

TEST_CASE(
    "SA-6, AQ-2, AQ-4: what callers on four threads saw is explained by one queue and as many places as there are") {
    asio::io_context context;
    auto settings = fixture::settings("history", {.min = connections, .max = connections});
    pool pool{context.get_executor(), settings};
    event_counter moments;
    std::deque<caller> all;
    std::atomic<std::size_t> busy{callers};
    run(
        context,
        [&]() -> asio::awaitable<void> {
            co_await pool.start();
            for (std::size_t i = 0; i < callers; ++i) {
                caller& who = all.emplace_back(context, i + 1);
                asio::co_spawn(who.home, keep_calling(pool, who, moments, busy), asio::detached);
            }
            while (busy > 0) {
                co_await pause(2ms);
            }
            co_await pool.close(1s);
        },
        threads);
    std::vector<leasing> seen;
    std::size_t granted = 0;
    for (const caller& who : all) {
        CHECK(who.ends == calls_of_each);
        for (const leasing& one : who.seen) {
            granted += one.session != 0 ? 1 : 0;
            seen.push_back(one);
        }
    }
    const pool_counts now = pool.stats();
    WARN("SA-6: " << seen.size() << " calls, " << granted << " granted, " << now.granted << " of them after waiting");
    CHECK(contradiction_in(seen, connections) == "");
    CHECK(granted > seen.size() / 2);
    CHECK(granted < seen.size());
    CHECK(now.granted > 0);
}
