#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/run.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

/// The pool's log lines that have a text in them.
class log_lines {
public:
    log_handler handler() {
        return [this](const log_record& line) {
            const std::lock_guard lock{mutex_};
            lines_.emplace_back(line.message);
        };
    }
    std::vector<std::string> with(const std::string& part) const {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> found;
        std::copy_if(lines_.begin(), lines_.end(), std::back_inserter(found),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
        return found;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("TO-10: a lease that lasts too long loses its connection, its statement says why, and the slot is back") {
    asio::io_context context;
    auto settings = fixture::settings("expiring", {.min = 1, .max = 1});
    settings.lease.timeout = 200ms;
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    error_code of_holder;
    error_code afterwards;
    steady_clock::duration took{};
    const auto holder = [&](lease held) -> asio::awaitable<void> {
        const auto began = steady_clock::now();
        of_holder = co_await outcome_of(*held, "SELECT pg_sleep(600)");
        took = steady_clock::now() - began;
        afterwards = co_await outcome_of(*held, "SELECT 1");
    };
    std::int32_t answer = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        asio::co_spawn(context, holder(std::move(held)), asio::detached);
        const auto rows = co_await pool.query("SELECT 42");
        answer = rows[0].get<std::int32_t>(0);
        co_await pool.close(1s);
    });
    CHECK(of_holder == pool_errc::lease_expired);
    CHECK(afterwards == pool_errc::lease_expired);
    CHECK(took >= 200ms - 25ms);
    CHECK(took < 60s);
    CHECK(answer == 42);
    CHECK(pool.stats().expired == 1);
    WARN("a lease of 200 ms at most was ended after " << milliseconds(took) << " ms");
    const auto still_there = fixture::sessions("expiring");
    CHECK(still_there == 0);  // the server was told to stop: it does not sleep on
}

TEST_CASE("TO-10: a lease on a server that answers nothing any more is ended all the same") {
    scripted_server server;
    server.answer_with([](const received_statement& what) { return what.session == 0 ? never() : one_row(1); });
    asio::io_context context;
    auto settings = fixture::settings_on(server, {.min = 1, .max = 1});
    settings.lease.timeout = 200ms;
    settings.acquire.timeout = 60s;
    pool pool{context.get_executor(), settings};
    error_code of_holder;
    error_code of_next;
    steady_clock::duration back_after{};
    const auto holder = [&](lease held) -> asio::awaitable<void> {
        of_holder = co_await outcome_of(*held, "SELECT 2");
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        asio::co_spawn(context, holder(std::move(held)), asio::detached);
        const auto began = steady_clock::now();
        auto next = co_await pool.acquire();
        back_after = steady_clock::now() - began;
        of_next = co_await outcome_of(*next, "SELECT 3");
        next.release();
        co_await pool.close(1s);
    });
    CHECK(of_holder == pool_errc::lease_expired);
    CHECK_FALSE(of_next);
    CHECK(back_after < 60s);
    CHECK(server.count().most_open == 1);
    WARN("the slot of a dead lease of 200 ms was back after " << milliseconds(back_after) << " ms");
}

TEST_CASE("TO-10: a lease that runs nothing when its time is over finds out at its next statement") {
    asio::io_context context;
    auto settings = fixture::settings("expired_quietly", {.min = 1, .max = 1});
    settings.lease.timeout = 100ms;
    pool pool{context.get_executor(), settings};
    error_code told;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        const auto expired = [&] { return pool.stats().expired == 1 && fixture::sessions("expired_quietly") == 0; };
        const bool in_time = co_await reached(expired);
        CHECK(in_time);
        told = co_await outcome_of(*held, "SELECT 1");
        held.release();
        co_await pool.query("SELECT 1");
        co_await pool.close(1s);
    });
    CHECK(told == pool_errc::lease_expired);
    CHECK(pool.stats().total == 0);
}

TEST_CASE("a lease that is out for too long is reported once, with its place, and again when it is back") {
    asio::io_context context;
    log_lines log;
    pool_hooks hooks;
    hooks.log = log.handler();
    auto settings = fixture::settings("leaking", {.min = 2, .max = 2});
    settings.lease.leak_threshold = 100ms;
    pool pool{context.get_executor(), settings, hooks};
    std::vector<lease_holder> holders;
    unsigned first_line = 0;
    unsigned second_line = 0;
    int pid = 0;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        first_line = __LINE__ + 1;
        auto first = co_await pool.acquire();
        second_line = __LINE__ + 1;
        auto second = co_await pool.acquire();
        pid = first->backend_pid();
        const auto both_reported = [&] { return log.with("has been out for longer than 100 ms").size() == 2; };
        const bool reported = co_await reached(both_reported);
        CHECK(reported);
        holders = pool.holders();
        co_await pause(300ms);  // once
        first.release();
        second.release();
        co_await pool.close(1s);
    });
    const auto place = std::string{__FILE__} + ":" + std::to_string(first_line);
    const auto reports = log.with("the lease acquired at " + place + " (backend " + std::to_string(pid));
    REQUIRE(reports.size() == 1);
    CHECK_THAT(reports[0], has_text("leases out: 2"));
    CHECK_THAT(reports[0], has_text(std::string{__FILE__} + ":" + std::to_string(second_line)));
    CHECK(log.with("the lease acquired at " + place + ", reported as a leak, has come back").size() == 1);
    CHECK(log.with("has come back").size() == 2);
    CHECK(pool.stats().leaks == 2);
    REQUIRE(holders.size() == 2);
    for (const auto& one : holders) {
        CHECK(std::string{one.file} == __FILE__);
        CHECK((one.line == first_line || one.line == second_line));
        CHECK(one.leak_reported);
        CHECK(one.since >= 100ms);
    }
    CHECK(pool.holders().empty());
}

TEST_CASE("HY-9: what is done with a lease that holds nothing is harmless, and counted") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("misuse", {.min = 1, .max = 1})};
    error_code after_release;
    error_code after_move;
    const auto before = misused_leases();
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();
        auto mine = std::move(held);
        after_move = co_await outcome_of(*held, "SELECT 1");
        mine.release();
        after_release = co_await outcome_of(*mine, "SELECT 1");
        mine.release();
        mine.discard();
        CHECK(pool.stats().idle == 1);
        const auto gone = mine.detach();
        CHECK_FALSE(gone);
        co_await pool.close(1s);
    });
    CHECK(after_move == pool_errc::lease_released);
    CHECK(after_release == pool_errc::lease_released);
    const auto after = misused_leases();
    CHECK(after.used - before.used == 2);
    CHECK(after.released - before.released == 2);
}

TEST_CASE("HY-10: a lease whose session is killed stays broken, and only another acquire gives another session") {
    asio::io_context context;
    auto settings = fixture::settings("killed_lease", {.min = 0, .max = 1});
    settings.connect.url = fixture::server().url();
    pool pool{context.get_executor(), settings};
    error_code first;
    error_code second;
    std::size_t sessions = 1;
    int lost_pid = 0;
    int next_pid = 0;
    run(context, [&]() -> asio::awaitable<void> {
        plain_connection observer{fixture::server().url()};
        {
            auto held = co_await pool.acquire();
            lost_pid = held->backend_pid();
            terminate_sessions_of(observer, "killed_lease");
            first = co_await outcome_of(*held, "SELECT 1");
            second = co_await outcome_of(*held, "SELECT 1");
            sessions = sessions_of(observer, "killed_lease");
            CHECK(held->backend_pid() == lost_pid);
        }
        const auto held = co_await pool.acquire();
        next_pid = held->backend_pid();
        co_await pool.close(0s);
    });
    CHECK(first == errc::connection_lost);
    CHECK(second == errc::connection_lost);
    CHECK(sessions == 0);
    CHECK(next_pid != lost_pid);
}

TEST_CASE(
    "HY-2, HY-7: a lease that an exception destroys inside a transaction gives its locks back, and the session stays") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("unwound", {.min = 1, .max = 1})};
    plain_connection observer{fixture::url()};
    observer.execute("CREATE TABLE IF NOT EXISTS unwound (x int)");
    const auto locks = [&] {
        return observer.count("SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid WHERE relname = "
                              "'unwound'");
    };
    int before = 0;
    int after = 0;
    std::size_t held_locks = 0;
    const auto failing = [&]() -> asio::awaitable<void> {
        const auto held = co_await pool.acquire();
        before = held->backend_pid();
        co_await held->query("BEGIN");
        co_await held->query("LOCK TABLE unwound");
        held_locks = locks();
        throw std::runtime_error{"the program's own"};
    };
    run(context, [&]() -> asio::awaitable<void> {
        try {
            co_await failing();
        } catch (const std::runtime_error&) {
            // As many a program does.
        }
        const auto unlocked = [&] { return locks() == 0; };  // nobody acquires meanwhile
        const bool given_back = co_await reached(unlocked);
        CHECK(given_back);
        {
            const auto held = co_await pool.acquire();
            after = held->backend_pid();
        }
        co_await pool.close(1s);
    });
    CHECK(held_locks == 1);
    CHECK(before == after);
    CHECK(pool.stats().rollbacks == 1);
}
