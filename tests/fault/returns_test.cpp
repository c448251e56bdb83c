#include "../integration/waiting.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

// Each state in which a lease can come back, what becomes of its session, and that it is counted as what it is.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

using tally = std::map<std::string, std::uint64_t>;

/// So that a failure can be read.
std::string text_of(const tally& all) {
    std::string text;
    for (const auto& [name, count] : all) {
        text += name + " " + std::to_string(count) + " ";
    }
    return text;
}

/// What the pool has counted of its sessions between two moments: each counter that moved, and by how much. A request to
/// stop that came too early is repeated, so of those it says only that there were some.
tally moved(const pool_counts& before, const pool_counts& after) {
    tally all{{"lost", after.lost - before.lost},
              {"discarded", after.discarded - before.discarded},
              {"cleanings", after.cleanings - before.cleanings},
              {"rollbacks", after.rollbacks - before.rollbacks},
              {"rollbacks_failed", after.rollbacks_failed - before.rollbacks_failed},
              {"resets", after.resets - before.resets},
              {"resets_failed", after.resets_failed - before.resets_failed},
              {"drains", after.drains - before.drains},
              {"drains_given_up", after.drains_given_up - before.drains_given_up},
              {"query_timeouts", after.query_timeouts - before.query_timeouts},
              {"cancels", after.cancels > before.cancels ? 1 : 0},
              {"cancels_proven", after.cancels_proven - before.cancels_proven},
              {"cancels_unproven", after.cancels_unproven - before.cancels_unproven},
              {"cancels_refused", after.cancels_refused - before.cancels_refused}};
    std::erase_if(all, [](const auto& one) { return one.second == 0; });
    return all;
}

pool_settings one_session(const std::string& application) {
    auto settings = fixture::settings(application, {.min = 0, .max = 1});
    settings.connect.url = fixture::server().url();
    settings.query.server_timeout = false;
    settings.acquire.timeout = 60s;
    return settings;
}

/// Whether that session is in that state, as the server sees it.
bool is_in(plain_connection& observer, int pid, const std::string& state) {
    return observer.count("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(pid) +
                          " AND state = '" + state + "'") == 1;
}

bool is_there(plain_connection& observer, int pid) {
    return observer.count("SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(pid)) == 1;
}

/// How a lease ends whose session goes on.
struct ending {
    const char* name;
    std::vector<std::string> statements;
    std::chrono::milliseconds within;  // for each; 0: as long as it takes
    const char* running;               // a statement whose end is not awaited, or null
    tally counted;
};

const std::vector<ending>& endings() {
    static const std::vector<ending> all{
        {"at rest", {"SELECT 1"}, 0ms, nullptr, {}},
        {"in a transaction", {"BEGIN"}, 0ms, nullptr, {{"cleanings", 1}, {"rollbacks", 1}}},
        {"in a failed transaction", {"BEGIN", "SELECT 1 / 0"}, 0ms, nullptr, {{"cleanings", 1}, {"rollbacks", 1}}},
        {"with a setting", {"SET work_mem = '7MB'"}, 0ms, nullptr, {{"resets", 1}}},
        {"after a COPY", {"COPY (SELECT 1) TO STDOUT"}, 0ms, nullptr, {{"drains", 1}, {"resets", 1}}},
        {"after a statement that took too long",
         {"SELECT pg_sleep(600)", "SELECT 1"},
         100ms,
         nullptr,
         {{"query_timeouts", 1}, {"cancels", 1}, {"cancels_proven", 1}}},
        {"amid a statement",
         {"SELECT 1"},
         0ms,
         "SELECT pg_sleep(600)",
         {{"cleanings", 1}, {"cancels", 1}, {"cancels_proven", 1}}},
        {"amid a statement of a transaction",
         {"BEGIN"},
         0ms,
         "SELECT pg_sleep(600)",
         {{"cleanings", 1}, {"cancels", 1}, {"cancels_proven", 1}, {"rollbacks", 1}}},
    };
    return all;
}

/// Borrows, ends the lease in that way, and gives its backend once the connection lies idle again.
asio::awaitable<int> end_lease(pool& from, asio::io_context& context, plain_connection& observer, const ending& how) {
    auto held = co_await from.acquire();
    const auto pid = held->backend_pid();
    for (const auto& sql : how.statements) {
        try {
            co_await held->query(query_options{.timeout = how.within}, sql);
        } catch (const error&) {
            // What fails is part of the state.
        }
    }
    if (how.running != nullptr) {
        begin(context, *held, how.running);
        const auto runs = [&] { return is_in(observer, pid, "active"); };
        const bool in_time = co_await reached(runs);
        CHECK(in_time);
    }
    held.release();
    const auto back = [&] { return from.stats().idle == 1; };
    const bool in_time = co_await reached(back);
    CHECK(in_time);
    co_return pid;
}

}  // namespace

TEST_CASE(
    "HY-1: each state in which a lease comes back is counted by its kind and by no other, and the session goes on") {
    asio::io_context context;
    pool pool{context.get_executor(), one_session("returns")};
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        int first = 0;
        {
            const auto held = co_await pool.acquire();
            first = held->backend_pid();
        }
        for (const auto& how : endings()) {
            INFO(how.name);
            const auto before = pool.stats();
            const auto pid = co_await end_lease(pool, context, observer, how);
            CHECK(pid == first);
            CHECK(text_of(moved(before, pool.stats())) == text_of(how.counted));
            const auto rows = co_await pool.query("SELECT concat_ws(' ', 'clean', current_setting('work_mem'))");
            CHECK(rows[0].get<std::string>(0) == "clean 4MB");
        }
        co_await pool.close(1s);
    });
    CHECK(pool.stats().opened == 1);
}

TEST_CASE("HY-1: a rollback that does not end in time costs the connection, and is counted") {
    asio::io_context context;
    auto settings = one_session("slow_rollback");
    settings.lifetime.rollback_timeout = 100ms;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("BEGIN");
        {
            const stopped_process frozen{pid};
            held.release();
            const auto next = co_await pool.acquire();
            CHECK(next->backend_pid() != pid);
            CHECK(is_in(observer, pid, "idle in transaction"));  // so it was not the ROLLBACK that ended it
        }
        const auto gone = [&] { return !is_there(observer, pid); };
        const bool ended = co_await reached(gone);
        CHECK(ended);
        co_await pool.close(1s);
    });
    CHECK(text_of(moved({}, pool.stats())) ==
          text_of({{"cleanings", 1}, {"rollbacks", 1}, {"rollbacks_failed", 1}, {"lost", 1}, {"cancels", 1}}));
}

TEST_CASE("HY-1: a lease whose socket is dead as it comes back, in a transaction or not, costs the connection") {
    const bool in_transaction = GENERATE(false, true);
    fault_proxy line{fixture::server()};
    asio::io_context context;
    auto settings = one_session("dead_socket");
    settings.connect.url = line.url(fixture::server(), "sslmode=disable&gssencmode=disable");
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        if (in_transaction) {
            co_await held->query("BEGIN");
        }
        line.end_all(proxy_end::reset);  // and the pool has read nothing of it yet: this runs on its only thread
        held.release();
        const auto closed = [&] { return pool.stats().lost == 1; };
        const bool noticed = co_await reached(closed);
        CHECK(noticed);
        const auto next = co_await pool.acquire();
        CHECK(next->backend_pid() != pid);
        const auto gone = [&] { return !is_there(observer, pid); };
        const bool ended = co_await reached(gone);
        CHECK(ended);
        const auto rows = co_await next->query("SELECT 7");
        CHECK(rows[0].get<std::int32_t>(0) == 7);
        co_await pool.close(0s);
    });
    auto expected = tally{{"lost", 1}};
    if (in_transaction) {  // libpq calls the status unknown, which may be one: so a ROLLBACK is tried, and fails
        expected.insert({{"cleanings", 1}, {"rollbacks", 1}, {"rollbacks_failed", 1}});
    }
    CHECK(text_of(moved({}, pool.stats())) == text_of(expected));
}

TEST_CASE("HY-1: a session whose transaction status nobody knows any more is closed, and counted") {
    scripted_server server;
    server.answer_with([](const received_statement& what) {
        // A message that is no message: libpq gives the connection up (PQTRANS_UNKNOWN), the socket stays open.
        return what.session == 0 ? sends_back(std::string{"D\0\0\0\1", 5}, afterwards::hang) : one_row(7);
    });
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings_on(server, {.min = 0, .max = 1})};
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        const auto code = co_await outcome_of(*held, "SELECT 1");
        CHECK(code == errc::connection_lost);
        held.release();
        const auto rows = co_await pool.query("SELECT 1");
        CHECK(rows[0].get<std::int32_t>(0) == 7);
        co_await pool.close(1s);
    });
    CHECK(server.count().sessions == 2);
    CHECK(server.session(0).statements.size() == 1);
    CHECK(text_of(moved({}, pool.stats())) == text_of({{"lost", 1}}));
}

TEST_CASE("HY-1, HY-3: a session with too much of a COPY to read is closed, and counted") {
    asio::io_context context;
    pool pool{context.get_executor(), one_session("long_copy")};
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        const auto code = co_await outcome_of(*held, "COPY (SELECT generate_series(1, 1000000)) TO STDOUT");
        CHECK(code == pool_errc::unsupported_statement);
        held.release();
        const auto next = co_await pool.acquire();
        CHECK(next->backend_pid() != pid);
        co_await pool.close(0s);
    });
    CHECK(text_of(moved({}, pool.stats())) ==
          text_of({{"drains", 1}, {"drains_given_up", 1}, {"discarded", 1}, {"cancels", 1}}));
}

TEST_CASE("HY-1, TO-5: a session whose statement does not end in time is closed, and counted") {
    asio::io_context context;
    auto settings = one_session("deaf");
    settings.query.cancel_timeout = 200ms;
    pool pool{context.get_executor(), settings};
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        begin(context, *held, "SELECT pg_sleep(600)");
        const auto runs = [&] { return is_in(observer, pid, "active"); };
        const bool in_time = co_await reached(runs);
        CHECK(in_time);
        const stopped_process deaf{pid};
        held.release();
        const auto next = co_await pool.acquire();
        CHECK(next->backend_pid() != pid);
        co_await pool.close(0s);
    });
    CHECK(text_of(moved({}, pool.stats())) ==
          text_of({{"cleanings", 1}, {"cancels", 1}, {"cancels_unproven", 1}, {"lost", 1}}));
}

TEST_CASE("HY-1, HY-5: a session whose reset the server refuses is closed, and counted") {
    asio::io_context context;
    pool pool{context.get_executor(), one_session("refused_reset")};
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        auto held = co_await pool.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("CREATE TEMP TABLE mine (i int)");
        plain_connection other{fixture::server().url()};  // its lock makes DISCARD TEMP wait, so that it can be stopped
        const auto table =
            other.scalar("SELECT relnamespace::regnamespace || '.mine' FROM pg_class WHERE relname = 'mine'");
        other.execute("BEGIN; LOCK TABLE " + table + " IN ACCESS SHARE MODE");
        held.release();
        const auto waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = " + std::to_string(pid);
        const auto waiting = [&] { return observer.count(waits) == 1; };
        const bool in_time = co_await reached(waiting);
        CHECK(in_time);
        observer.execute("SELECT pg_cancel_backend(" + std::to_string(pid) + ")");
        const auto refused = [&] { return pool.stats().lost == 1; };
        const bool noticed = co_await reached(refused);
        CHECK(noticed);
        const auto next = co_await pool.acquire();
        CHECK(next->backend_pid() != pid);
        co_await pool.close(0s);
    });
    CHECK(text_of(moved({}, pool.stats())) == text_of({{"resets", 1}, {"resets_failed", 1}, {"lost", 1}}));
}

TEST_CASE("HY-1, TO-8: what is counted as a request to stop was sent, and what was refused was not") {
    scripted_server server;
    std::atomic<std::size_t> begun{0};
    server.answer_with([&](const received_statement& what) {
        const bool asked = what.text == "SELECT 1";  // an empty one takes what comes late
        begun += asked ? 1 : 0;
        return asked ? runs_until_cancelled() : done();
    });
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 0, .max = 1});
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    std::size_t leases = 0;
    run(context, [&]() -> asio::awaitable<void> {
        while (pool.stats().cancels_refused == 0 && leases < 1'000) {
            auto held = co_await pool.acquire();
            ++leases;
            begin(context, *held, "SELECT 1");
            const auto runs = [&] { return begun >= leases; };
            const bool in_time = co_await reached(runs);
            CHECK(in_time);
            held.release();
        }
        const auto closed = [&] { return pool.stats().discarded == 1; };
        const bool in_time = co_await reached(closed);
        CHECK(in_time);
        co_await pool.close(1s);
    });
    const auto now = pool.stats();
    CHECK(server.wait_for([&] { return server.count().cancels >= now.cancels; }));
    CHECK(now.cancels == server.count().cancels);
    CHECK(now.cancels_refused == 1);
    CHECK(now.cancels_proven == leases - 1);
    WARN(now.cancels << " requests to stop for " << leases << " statements, then one refused");
}
