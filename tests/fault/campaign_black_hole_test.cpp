#include "campaign.hpp"
#include "support/black_hole.hpp"

#include <boost/asio.hpp>

#include <algorithm>

// Deadlines that hold though the network has vanished without a word.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t connections = 20;

/// How long each of a kind of operations took, and how they ended.
struct endings {
    std::size_t begun = 0;
    std::size_t lent = 0;
    std::size_t failed = 0;
    std::chrono::nanoseconds longest{};

    void add(steady_clock::time_point begin, bool successful) {
        ++(successful ? lent : failed);
        longest = std::max(longest, std::chrono::nanoseconds{steady_clock::now() - begin});
    }
    [[nodiscard]] bool all_ended() const { return begun == lent + failed; }
};

asio::awaitable<void> acquire_one(pool& from, endings& seen) {
    const auto begin = steady_clock::now();
    ++seen.begun;
    bool lent = false;
    try {
        auto lease = co_await from.acquire({.timeout = 1s});
        lent = true;
        seen.add(begin, true);
        lease.discard();
    } catch (const error&) {
        // counted below
    }
    if (!lent) {
        seen.add(begin, false);
    }
}

asio::awaitable<void> query_one(lease& on, const char* sql, endings& seen) {
    const auto begin = steady_clock::now();
    ++seen.begun;
    bool answered = false;
    try {
        co_await on->query(query_options{.timeout = 3s}, sql);
        answered = true;
    } catch (const error&) {
        // counted below
    }
    seen.add(begin, answered);
}

struct swallowed {
    explicit swallowed(const std::string& application) : name{application} {}
    /// A server in the middle of a statement does not see that its client has gone.
    ~swallowed() { terminate_sessions_of(observer, name); }

    pool_settings settings() const {
        auto chosen = settings_on(net.url(), name, {.min = connections, .max = connections});
        chosen.recovery.start = start_policy::wait;
        return chosen;
    }

    asio::awaitable<void> end(endings& seen) {
        const auto all_ended = [&] { return seen.all_ended(); };
        const bool ended = co_await reached(all_ended);
        CHECK(ended);
    }

    asio::awaitable<void> finish() {
        net.restore();
        const auto next = co_await ask(pool, "SELECT 'next'");
        CHECK(next.text == "next");
        co_await pool.close(1s);
    }

    std::string name;
    asio::io_context context;
    black_hole net{fixture::server()};
    plain_connection observer{fixture::server().socket_url()};
    trunkline::pool pool{context.get_executor(), settings()};
};

bool possible() {
    if (const auto reason = black_hole::unavailable(); !reason.empty()) {
        WARN("SKIPPED: " << reason);
        return false;
    }
    return true;
}

}  // namespace

TEST_CASE("AQ-6: two hundred callers with 1 s each have their answers in time, all connections being swallowed") {
    if (!possible()) {
        return;
    }
    swallowed on{"hole_acquire"};
    endings seen;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        const auto all_open = [&] { return on.pool.stats().idle == connections; };
        const bool opened = co_await reached(all_open);
        CHECK(opened);
        co_await pause(1300ms);  // long enough to be asked for a sign of life
        on.net.drop();
        for (std::size_t i = 0; i < 200; ++i) {
            asio::co_spawn(on.context, acquire_one(on.pool, seen), asio::detached);
        }
        co_await pause(10ms);
        co_await on.end(seen);
        co_await on.finish();
    });
    WARN("AQ-6: of " << seen.begun << " acquires with a deadline of 1 s " << seen.failed
                     << " had an error; the last answer came after " << campaign::in_ms(seen.longest));
    CHECK(seen.begun == 200);
    CHECK(seen.longest <= (campaign::full() ? 1'010ms : 1'260ms));
}

TEST_CASE("TO-3: queries with 3 s each fail by 4 s in a black hole, sent before or after it opened") {
    if (!possible()) {
        return;
    }
    swallowed on{"hole_query"};
    endings before;
    endings after;
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.pool.start();
        std::vector<lease> leases;
        for (std::size_t i = 0; i < connections; ++i) {
            auto one = co_await on.pool.acquire();
            leases.push_back(std::move(one));
        }
        for (std::size_t i = 0; i < connections / 2; ++i) {
            asio::co_spawn(on.context, query_one(leases[i], "SELECT pg_sleep(60)", before), asio::detached);
        }
        co_await pause(500ms);
        on.net.drop();
        for (std::size_t i = connections / 2; i < connections; ++i) {
            asio::co_spawn(on.context, query_one(leases[i], "SELECT 1", after), asio::detached);
        }
        co_await pause(10ms);
        co_await on.end(before);
        co_await on.end(after);
        leases.clear();
        co_await on.finish();
    });
    WARN("TO-3: queries with a deadline of 3 s: of " << before.begun << " sent before the hole opened " << before.failed
                                                     << " failed, the last after " << campaign::in_ms(before.longest)
                                                     << "; of " << after.begun << " sent into it " << after.failed
                                                     << ", the last after " << campaign::in_ms(after.longest));
    CHECK(before.failed == connections / 2);
    CHECK(after.failed == connections / 2);
    CHECK(before.longest <= 4s);
    CHECK(after.longest <= 4s);
}
