#include "../integration/waiting.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <cstddef>
#include <string>

// A real PgBouncer in transaction mode: each transaction may run in another session of the server's.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

constexpr std::size_t clients = 1'000;
constexpr std::size_t connections = 100;
constexpr std::size_t sessions = 10;

pool_settings settings_for(const std::string& url, prepare_mode mode) {
    auto settings = settings_on(url, "behind_pooler", {.min = 0, .max = connections});
    settings.connect.max_connecting = 10;
    settings.connect.timeout = 60s;
    settings.acquire.timeout = 120s;
    settings.query.server_timeout = false;  // would be set in one session, and hold in another
    settings.reset.mode = reset_mode::off;  // the same
    settings.prepare.mode = mode;
    settings.prepare.after_uses = 1;
    return settings;
}

struct tally {
    std::size_t right = 0;
    std::size_t wrong = 0;
    std::string first_failure;
};

asio::awaitable<void> client(pool& from, std::size_t number, tally& into) {
    constexpr int rounds = 10;
    for (int round = 0; round < rounds; ++round) {
        try {
            const auto sql = "SELECT $1 + " + std::to_string(number % 20);
            const auto rows = co_await from.query(sql, round);
            const bool right = rows[0].get<int>(0) == round + static_cast<int>(number % 20);
            ++(right ? into.right : into.wrong);
        } catch (const error& failed) {
            ++into.wrong;
            into.first_failure = failed.what();
        }
    }
}

}  // namespace

TEST_CASE("PS-5: a thousand clients behind a pooler in transaction mode meet no prepared statement") {
    if (!postgres_server::pooler_is_installed()) {
        WARN("SKIPPED: there is no /usr/sbin/pgbouncer");
        return;
    }
    postgres_server server;
    const auto url = server.start_pooler(sessions);
    const auto mode = GENERATE(prepare_mode::off, prepare_mode::automatic);  // which knows a pooler
    asio::io_context context;
    pool pool{context.get_executor(), settings_for(url, mode)};
    tally seen;
    run(context, [&]() -> asio::awaitable<void> {
        // One of a thousand numbers passes for a server's; the first that does not is enough for the pool.
        for (bool known = false; !known; pool.evict_all()) {
            const auto first = co_await pool.acquire();
            known = first->backend_pid() <= 0 || first->backend_pid() > 1 << 22;
        }
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(context, client(pool, i, seen), asio::detached);
        }
        const auto all_done = [&] { return seen.right + seen.wrong == clients * 10; };
        const bool in_time = co_await reached(all_done);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    INFO(seen.first_failure);
    CHECK(seen.right == clients * 10);
    const auto stats = pool.stats();
    CHECK(stats.prepares == 0);
    plain_connection observer{server.url()};
    CHECK(observer.count("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") <=
          sessions + 1);  // this one
}

TEST_CASE("PS-5: statements that were prepared behind such a pooler would fail, which is why none is") {
    if (!postgres_server::pooler_is_installed()) {
        WARN("SKIPPED: there is no /usr/sbin/pgbouncer");
        return;
    }
    postgres_server server;
    const auto url = server.start_pooler(2);
    plain_connection first{url};
    plain_connection second{url};
    first.execute("PREPARE here AS SELECT 1");
    second.execute("BEGIN");  // takes the session that has it
    CHECK_THROWS(first.execute("EXECUTE here"));
}
