#include "campaign.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <mutex>

// Ten thousand clients on fifty connections.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t connections = 50;

struct score {
    std::atomic<std::uint64_t> served{0};
    std::atomic<std::uint64_t> answered{0};  // while measuring
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::size_t> active{0};
    std::atomic<bool> measuring{false};
    std::atomic<bool> stop{false};
    campaign::shared_histogram waits;
    std::mutex mutex;
    std::string first_failure;
};

asio::awaitable<void> client(pool& from, score& seen) {
    while (!seen.stop) {
        const auto begin = steady_clock::now();
        try {
            auto lease = co_await from.acquire();
            const auto waited = steady_clock::now() - begin;
            co_await lease->query("SELECT pg_sleep(0.001)");
            lease.release();
            ++seen.served;
            if (seen.measuring) {
                seen.waits.record(waited);
                ++seen.answered;
            }
        } catch (const error& failure) {
            ++seen.failed;
            const std::lock_guard lock{seen.mutex};
            seen.first_failure = failure.what();
        }
    }
    --seen.active;
}

struct figures {
    double after_warm_up = 0;
    double most = 0;
    double at_the_end = 0;
    double seconds = 0;
    std::size_t most_sessions = 0;
};

asio::awaitable<void> observe(score& seen, figures& measured, std::chrono::milliseconds time) {
    plain_connection observer{fixture::server().socket_url()};
    measured.after_warm_up = measured.most = campaign::resident_mib();
    seen.measuring = true;
    const auto begin = steady_clock::now();
    while (steady_clock::now() < begin + time) {
        co_await pause(100ms);  // between two looks
        measured.most = std::max(measured.most, campaign::resident_mib());
        measured.most_sessions = std::max(measured.most_sessions, sessions_of(observer, "soak"));
    }
    seen.measuring = false;
    measured.at_the_end = campaign::resident_mib();
    measured.seconds = std::chrono::duration<double>(steady_clock::now() - begin).count();
}

}  // namespace

TEST_CASE("SA-1, SA-10: ten thousand clients on fifty connections see no error, a fair wait, and no growth") {
    constexpr std::size_t clients = 10'000;
    const auto time = campaign::full() ? 60'000ms : 5'000ms;
    asio::io_context context;
    auto settings = settings_on(fixture::server(), "soak", {.min = connections, .max = connections});
    settings.acquire.timeout = 120s;
    settings.recovery.start = start_policy::wait;  // fifty handshakes may take a busy machine longer than five seconds
    pool pool{context.get_executor(), settings};
    score seen;
    seen.active = clients;
    figures measured;
    const auto everything = [&]() -> asio::awaitable<void> {
        co_await pool.start();
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(pool, seen), asio::detached);
        }
        const auto warm = [&] { return seen.served >= (campaign::full() ? 15U : 2U) * clients; };
        const bool warmed_up = co_await reached(warm, 120s);
        CHECK(warmed_up);
        co_await observe(seen, measured, time);
        seen.stop = true;
        const auto ended = [&] { return seen.active == 0; };
        const bool all_ended = co_await reached(ended);
        CHECK(all_ended);
        co_await pool.close(1s);
    };
    run(context, everything, 4);
    const auto throughput = static_cast<double>(seen.answered) / measured.seconds;
    const auto ideal = std::chrono::duration<double>(static_cast<double>(clients) / throughput);
    const auto p99 = seen.waits.quantile(0.99);
    const auto factor = std::chrono::duration<double>(p99) / ideal;
    const auto growth = 100 * (measured.at_the_end / measured.after_warm_up - 1);
    WARN("SA-10: " << clients << " clients, " << seen.answered << " answers in " << measured.seconds << " s ("
                   << static_cast<std::uint64_t>(throughput) << " a second), " << seen.failed << " errors; wait p50 "
                   << campaign::in_ms(seen.waits.quantile(0.5)) << ", p99 " << campaign::in_ms(p99) << " = " << factor
                   << " x the ideal " << campaign::in_ms(ideal) << "; resident " << measured.after_warm_up
                   << " MiB, at the end " << measured.at_the_end << " (" << growth << " %), at most " << measured.most
                   << "; sessions " << measured.most_sessions);
    INFO(seen.first_failure);
    CHECK(seen.failed == 0);
    CHECK(measured.most_sessions == connections);
    CHECK(factor <= (campaign::full() ? 1.5 : 3.0));
    if constexpr (campaign::sanitized) {
        WARN("SKIPPED: growth, because a sanitizer keeps what is freed for a while");
    } else {
        CHECK(growth <= (campaign::full() ? 1.0 : 25.0));
    }
}
