#include "campaign.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>

// The size of a pool on the server while everything happens to it at once.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t most = 6;

/// Looks every 5 ms how many sessions others than this one there are; of clients, and named or not.
class watcher {
public:
    explicit watcher(const std::string& url)
        : thread_{[this, url](const std::stop_token& stop) { watch(url, stop); }} {}
    void stop() {
        thread_.request_stop();
        thread_.join();
    }
    [[nodiscard]] std::size_t most_seen() const noexcept { return most_seen_; }
    [[nodiscard]] std::size_t looks() const noexcept { return looks_; }

private:
    void watch(const std::string& url, const std::stop_token& stop) {
        plain_connection observer{url};
        for (auto next = steady_clock::now(); !stop.stop_requested(); next += 5ms) {
            const auto now = observer.count("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client "
                                            "backend' AND application_name <> 'killer' AND pid <> pg_backend_pid()");
            most_seen_ = std::max(most_seen_.load(), now);
            ++looks_;
            std::this_thread::sleep_until(next);
        }
    }

    std::atomic<std::size_t> most_seen_{0};
    std::atomic<std::size_t> looks_{0};
    std::jthread thread_;
};

struct storm {
    pool& on;
    const steady_clock::time_point ends;
    std::atomic<std::size_t> done{0};
    std::atomic<std::size_t> failed{0};
    std::atomic<std::size_t> clients{0};

    [[nodiscard]] bool is_over() const noexcept { return steady_clock::now() >= ends; }

    /// Seldom enough what costs a connection: else the pool is never full, and its limit never met.
    asio::awaitable<void> one(unsigned what) {
        auto held = co_await on.acquire({.timeout = 20s});
        if (what < 1) {
            held.discard();
        } else if (what < 13) {
            co_await held->query({.timeout = 2ms}, "SELECT pg_sleep(1)");  // cancelled
        } else if (what < 21) {
            co_await held->query("BEGIN");  // left open
        } else if (what < 29) {
            co_await held->query("SET work_mem = '5MB'");  // to be reset
        } else {
            co_await held->query("SELECT 1");
        }
    }

    asio::awaitable<void> client(unsigned seed) {
        ++clients;
        std::minstd_rand random{seed};
        while (!is_over()) {
            error_code code;
            try {
                co_await one(static_cast<unsigned>(random() % 400));
            } catch (const error& failure) {
                code = failure.code();
            }
            ++(code ? failed : done);
        }
        --clients;
    }
};

/// Kills one of the pool's sessions now and then, whichever.
void kill_now_and_then(const std::string& url, const storm& until) {
    plain_connection killer{url};
    killer.execute("SET application_name = 'killer'");
    while (!until.is_over()) {
        killer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'storm%' "
                       "ORDER BY random() LIMIT 1");
        std::this_thread::sleep_for(200ms);  // not so often that the pool is never full
    }
}

}  // namespace

TEST_CASE("SZ-1, TO-11: in a storm of kills, discards, cancels, rotations and reloads the server never has too many") {
    const auto length = campaign::scaled<std::chrono::milliseconds>(60s, 4s);
    const auto url = fixture::server().url();
    asio::io_context context;
    auto settings = settings_on(url, "storm", {.min = 2, .max = most});
    settings.connect.backoff_initial = 5ms;
    settings.connect.backoff_max = 20ms;
    settings.connect.anticipation = 0ms;
    settings.connect.max_connecting = 4;
    pool pool{context.get_executor(), settings};
    watcher sessions{url};
    storm clients{.on = pool, .ends = steady_clock::now() + length};
    std::jthread killer{[&] { kill_now_and_then(url, clients); }};
    run(
        context,
        [&]() -> asio::awaitable<void> {
            co_await pool.start();
            for (unsigned i = 0; i < 60; ++i) {
                asio::co_spawn(context, clients.client(i + 1), asio::detached);
            }
            for (unsigned i = 0; !clients.is_over(); ++i) {
                co_await pause(500ms);
                settings.connect.application_name = "storm" + std::to_string(i % 7);
                settings.size.max = i % 4 == 3 ? most / 2 : most;
                switch (i % 3) {
                case 0: pool.reconfigure(settings); break;
                case 1: pool.rotate(); break;
                default: pool.evict([](const connection_info& c) { return c.uses % 3 == 1; }); break;
                }
            }
            while (clients.clients > 0) {
                co_await pause(2ms);
            }
            co_await pool.close(5s);
        },
        4);
    killer.join();
    sessions.stop();
    WARN("SZ-1: in a storm of " << campaign::in_ms(length) << " at most " << sessions.most_seen() << " of " << most
                                << " sessions in " << sessions.looks() << " looks; " << clients.done << " done, "
                                << clients.failed << " failed, " << pool.stats().opened << " opened");
    CHECK(sessions.most_seen() <= most);
    CHECK((!campaign::full() || sessions.most_seen() == most));  // else it was no storm
    CHECK(sessions.looks() > 0);
    CHECK(clients.done > 0);
    CHECK(pool.stats().retired > 0);
    CHECK(pool.stats().total == 0);
    plain_connection observer{url};
    CHECK(observer.count("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'storm%'") == 0);
}
