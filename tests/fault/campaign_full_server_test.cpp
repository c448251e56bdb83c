#include "campaign.hpp"
#include "support/fault_proxy.hpp"

#include <boost/asio.hpp>

#include <optional>

// A server that has room for five sessions, and a pool that wants twenty.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t room = 5;
constexpr std::size_t wanted = 20;
constexpr std::size_t callers = 200;

struct score {
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    std::size_t active = callers;
    bool stop = false;
    std::string first_failure;
};

asio::awaitable<void> caller(pool& from, score& seen) {
    while (!seen.stop) {
        try {
            co_await from.query("SELECT pg_sleep(0.005)");
            ++seen.answered;
        } catch (const error& failure) {
            ++seen.failed;
            seen.first_failure = failure.what();
        }
    }
    --seen.active;
}

}  // namespace

TEST_CASE("RE-7: a full server is worked with as far as it goes, and asked for more once a second") {
    constexpr std::size_t capacity = 40;
    postgres_server server{{.max_connections = capacity}};
    fault_proxy door{server};
    plain_connection observer{server.socket_url()};
    std::vector<plain_connection> others;
    while (others.size() + 1 + room < capacity) {
        others.emplace_back(server.socket_url());
    }
    const auto full_for = campaign::scaled<std::chrono::milliseconds>(15s, 6s);
    const auto seconds = std::max(1.0, std::chrono::duration<double>(full_for).count());
    asio::io_context context;
    auto settings = settings_on(door.url(server, "sslmode=disable&gssencmode=disable"), "full", {.min = 0, .max = 20});
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    score seen;
    std::size_t most = 0;
    std::size_t probes = 0;
    std::uint64_t answered = 0;
    std::optional<steady_clock::duration> until_twenty;
    run(context, [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < callers; ++i) {
            asio::co_spawn(context, caller(pool, seen), asio::detached);
        }
        const auto five = [&] { return sessions_of(observer, "full") == room && pool.stats().dials_failed > 0; };
        const bool five_in_time = co_await reached(five);
        CHECK(five_in_time);
        const auto before = door.counts().accepted;
        const auto answered_before = seen.answered;
        for (const auto end = steady_clock::now() + full_for; steady_clock::now() < end;) {
            most = std::max(most, sessions_of(observer, "full"));
            co_await pause(50ms);
        }
        probes = door.counts().accepted - before;
        answered = seen.answered - answered_before;
        others.clear();
        const auto roomy = steady_clock::now();
        const auto twenty = [&] { return sessions_of(observer, "full") == wanted; };
        if (co_await reached(twenty)) {
            until_twenty = steady_clock::now() - roomy;
        }
        seen.stop = true;
        const auto all_ended = [&] { return seen.active == 0; };
        const bool all_ended_in_time = co_await reached(all_ended);
        CHECK(all_ended_in_time);
        co_await pool.close(1s);
    });
    WARN("RE-7: " << most << " sessions in a full server, " << answered << " answers, "
                  << static_cast<double>(probes) / seconds << " probes a second, " << seen.failed << " of " << callers
                  << " callers failed; " << wanted << " sessions "
                  << campaign::in_ms(until_twenty.value_or(steady_clock::duration::max())) << " after there was room");
    INFO(seen.first_failure);
    CHECK(seen.failed == 0);
    CHECK(most == room);
    CHECK(answered > 100);
    CHECK(probes >= 1);
    CHECK(static_cast<double>(probes) <= seconds + 1);
    REQUIRE(until_twenty.has_value());
    CHECK(*until_twenty <= campaign::bound(3s));
}
