#include "campaign.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <random>
#include <set>

// Replacing every connection while the pool is at work.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

const std::size_t connections = campaign::full() ? 10 : 3;  // a full pool rests for seconds after each
constexpr const char* statement = "SELECT pg_sleep(0.005)";

struct score {
    std::size_t under_way = 0;
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    std::uint64_t rotated = 0;  // rotations begun, and not ended, count each
    bool rotating = false;
    bool measuring = false;
    bool stop = false;
    std::chrono::nanoseconds lasted{};  // all rotations together
    histogram_snapshot quiet;           // requests that met no rotation
    histogram_snapshot disturbed;       // those that did
};

asio::awaitable<void> request(pool& on, score& seen) {
    const auto begin = steady_clock::now();
    const auto before = seen.rotated;
    const bool disturbed = seen.rotating;
    try {
        co_await on.query(statement);
        ++seen.answered;
    } catch (const error&) {
        ++seen.failed;
    }
    if (seen.measuring) {
        (disturbed || seen.rotated != before ? seen.disturbed : seen.quiet).record(steady_clock::now() - begin);
    }
    --seen.under_way;
}

asio::awaitable<void> closed_loop(pool& on, score& seen) {
    while (!seen.stop) {
        co_await on.query(statement);
        ++seen.answered;
    }
    --seen.under_way;
}

/// Requests a second that the pool can serve.
asio::awaitable<double> capacity(pool& on, score& seen) {
    const auto here = co_await asio::this_coro::executor;
    for (std::size_t i = 0; i < connections; ++i) {
        ++seen.under_way;
        asio::co_spawn(here, closed_loop(on, seen), asio::detached);
    }
    co_await pause(300ms);
    const auto before = seen.answered;
    const auto begin = steady_clock::now();
    co_await pause(1500ms);
    const auto served = static_cast<double>(seen.answered - before);
    const auto seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
    seen.stop = true;
    const auto none = [&] { return seen.under_way == 0; };
    const bool ended = co_await reached(none);
    CHECK(ended);
    seen.stop = false;
    co_return served / seconds;
}

/// Requests come at random at that rate, whether or not the former ones are answered.
asio::awaitable<void> load(pool& on, score& seen, double a_second) {
    const auto here = co_await asio::this_coro::executor;
    std::mt19937_64 dice{1};
    std::exponential_distribution<double> gap{a_second};
    auto next = steady_clock::now();
    asio::steady_timer timer{here};
    while (!seen.stop) {
        next += std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(gap(dice)));
        if (next > steady_clock::now()) {
            timer.expires_at(next);
            co_await timer.async_wait(asio::use_awaitable);
        }
        ++seen.under_way;
        asio::co_spawn(here, request(on, seen), asio::detached);
    }
    --seen.under_way;
}

asio::awaitable<void> rotate_again_and_again(pool& of, score& seen, std::size_t times) {
    std::chrono::nanoseconds last = 1s;
    for (std::size_t i = 0; i < times; ++i) {
        co_await pause(std::chrono::ceil<std::chrono::milliseconds>(last));  // what else runs here disturbs both alike
        const auto begin = steady_clock::now();
        const auto wanted = of.stats().retired + connections;
        ++seen.rotated;
        seen.rotating = true;
        of.rotate();
        const auto done = [&] {
            const pool_counts now = of.stats();
            return now.retired >= wanted && now.connecting == 0 && now.closing == 0;
        };
        const bool rotated = co_await reached(done, 120s);
        CHECK(rotated);
        seen.rotating = false;
        last = steady_clock::now() - begin;
        seen.lasted += last;
    }
}

/// `times`: whole rotations in full; the short form has one.
void rotate_under_load(const std::string& name, std::size_t max, std::size_t times) {
    times = campaign::full() ? times : 1;
    asio::io_context context;
    pool pool{context.get_executor(), settings_on(fixture::server(), name, {.min = connections, .max = max})};
    score seen;
    double most = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        most = co_await capacity(pool, seen);
        ++seen.under_way;
        asio::co_spawn(context, load(pool, seen, 0.8 * most), asio::detached);
        co_await pause(500ms);
        seen.measuring = true;
        co_await rotate_again_and_again(pool, seen, times);
        seen.stop = true;
        const auto none = [&] { return seen.under_way == 0; };
        const bool ended = co_await reached(none);
        CHECK(ended);
        co_await pool.close(1s);
    });
    const auto quiet = seen.quiet.quantile(0.99);
    const auto disturbed = seen.disturbed.quantile(0.99);
    const auto rise = 100 * (std::chrono::duration<double>(disturbed) / std::chrono::duration<double>(quiet) - 1);
    WARN("LC-3 (size.max " << max << "): " << times << " rotations of " << connections << " connections, "
                           << campaign::in_ms(seen.lasted / times) << " each, at 80 % of " << static_cast<int>(most)
                           << " requests a second; p99 without " << campaign::in_ms(quiet) << " (" << seen.quiet.count
                           << " requests), during a rotation " << campaign::in_ms(disturbed) << " ("
                           << seen.disturbed.count << "): " << rise << " % more; p50 "
                           << campaign::in_ms(seen.quiet.quantile(0.5)) << " and "
                           << campaign::in_ms(seen.disturbed.quantile(0.5)));
    CHECK(seen.failed == 0);
    CHECK(seen.disturbed.count > 0);
    if (campaign::full()) {
        CHECK(rise <= 10);
    }
}

}  // namespace

TEST_CASE("LC-3: replacing all connections at 80 % load, with room for one more, is not felt") {
    rotate_under_load("rotation_room", connections + 1, 20);
}

TEST_CASE("LC-3: replacing all connections of a full pool at 80 % load fails nobody") {
    rotate_under_load("rotation_full", connections, 5);
}
