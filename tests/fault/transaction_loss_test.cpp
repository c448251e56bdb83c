#include "../integration/transaction_fixture.hpp"
#include "bad_line.hpp"

#include <optional>

// What becomes of a transaction when its answer does not come.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// A table whose rows make their COMMIT wait until nobody holds the advisory lock 7.
struct slow_commits {
    explicit slow_commits(const std::string& name) : table{name, fixture::server().url()} {
        table.observer().execute("CREATE OR REPLACE FUNCTION tx_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                                 "PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;"
                                 "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON " +
                                 name + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tx_wait()");
        table.observer().execute("SELECT pg_advisory_lock(7)");
    }

    void let_go() { table.observer().execute("SELECT pg_advisory_unlock_all()"); }
    bool waits() {
        return table.observer().count("SELECT count(*) FROM pg_locks WHERE NOT granted AND objid = 7") == 1;
    }

    number_table table;
};

/// A COMMIT under way, and how it ends.
struct committing {
    asio::awaitable<void> run(lease& on, std::string sql) {
        auto tx = co_await on->begin();
        co_await tx.execute(sql);
        try {
            co_await tx.commit();
            how.emplace();
        } catch (const error& failure) {
            text = failure.what();
            how = failure.code();
        }
    }
    asio::awaitable<bool> ended() {
        co_return co_await reached([this] { return how.has_value(); });
    }

    std::optional<error_code> how;
    std::string text;
    asio::cancellation_signal stop;
};

}  // namespace

TEST_CASE("a COMMIT whose session the server ends is unknown, and this one did not happen") {
    slow_commits slow{"tx_killed"};
    run_on(settings_on(fixture::server(), "killed_commit", {.min = 0, .max = 1}),
           [&](pool& lines) -> asio::awaitable<void> {
               auto lease = co_await lines.acquire();
               committing seen;
               const auto here = co_await asio::this_coro::executor;
               asio::co_spawn(here, seen.run(lease, slow.table.insert(1)), asio::detached);
               const bool waits = co_await reached([&] { return slow.waits(); });
               CHECK(waits);
               slow.table.observer().execute("SELECT pg_terminate_backend(" + std::to_string(lease->backend_pid()) +
                                             ")");
               const bool ended = co_await seen.ended();
               REQUIRE(ended);
               CHECK(*seen.how == pool_errc::commit_unknown);
               CHECK(*seen.how != errc::retryable);
               CHECK(seen.text.find("57P01") != std::string::npos);
               slow.let_go();
               CHECK(slow.table.rows().empty());
           });
}

TEST_CASE("a COMMIT whose answer is lost is unknown, and this one happened") {
    number_table table{"tx_answer_lost", fixture::server().url()};
    bad_line on{"lost_answer"};
    run(on.context, [&]() -> asio::awaitable<void> {
        auto lease = co_await on.pool.acquire();
        auto tx = co_await lease->begin();
        co_await tx.execute(table.insert(1));
        on.proxy.set({.to_server = {}, .to_client = {.stopped = true}});
        committing seen;
        const auto commit = [&]() -> asio::awaitable<void> { seen.how = co_await outcome_of(tx.commit()); };
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, commit(), asio::detached);
        const bool committed = co_await reached([&] { return table.rows() == "1"; });
        CHECK(committed);
        CHECK_FALSE(seen.how.has_value());
        on.proxy.end_all(proxy_end::reset);
        const bool ended = co_await seen.ended();
        CHECK(ended);
        CHECK(seen.how.value_or(error_code{}) == pool_errc::commit_unknown);
        CHECK_FALSE(tx.is_open());
        on.proxy.heal();
        lease.release();
        co_await on.pool.close(10s);
    });
}

TEST_CASE("a cancelled COMMIT is unknown, and the lease goes on outside the transaction") {
    slow_commits slow{"tx_commit_cancelled"};
    run_on(settings_on(fixture::server(), "cancelled_commit", {.min = 0, .max = 1}),
           [&](pool& lines) -> asio::awaitable<void> {
               auto lease = co_await lines.acquire();
               committing seen;
               const auto here = co_await asio::this_coro::executor;
               asio::co_spawn(here, seen.run(lease, slow.table.insert(1)),
                              asio::bind_cancellation_slot(seen.stop.slot(), asio::detached));
               const bool waits = co_await reached([&] { return slow.waits(); });
               CHECK(waits);
               seen.stop.emit(asio::cancellation_type::terminal);
               const bool ended = co_await seen.ended();
               REQUIRE(ended);
               CHECK(*seen.how == pool_errc::commit_unknown);
               CHECK(seen.text.find("ancel") != std::string::npos);
               const bool stopped = co_await reached([&] { return !slow.waits(); });
               CHECK(stopped);
               slow.let_go();
               const auto id =
                   co_await value_of(*lease, "SELECT coalesce(pg_current_xact_id_if_assigned()::text, 'none')");
               CHECK(id == "none");
               CHECK(slow.table.rows().empty());
           });
}

// PostgreSQL itself takes no notice of statement_timeout once a COMMIT has begun.
TEST_CASE("a COMMIT whose time is over is unknown, whether the server knew of the time or not") {
    slow_commits slow{"tx_commit_slow"};
    for (const bool told : {false, true}) {
        INFO(told);
        auto settings = settings_on(fixture::server(), "slow_commit", {.min = 0, .max = 1});
        settings.query.timeout = 1'500ms;  // BEGIN and INSERT end within it on a slow machine too
        settings.query.server_timeout = told;
        run_on(settings, [&](pool& lines) -> asio::awaitable<void> {
            auto lease = co_await lines.acquire();
            auto tx = co_await lease->begin();
            co_await tx.execute(slow.table.insert(1));
            const auto how = co_await outcome_of(tx.commit());
            CHECK(how == pool_errc::commit_unknown);
            CHECK_FALSE(tx.is_open());
            const auto next = co_await outcome_of(*lease, "SELECT 1");
            CHECK_FALSE(next.failed());
        });
    }
    slow.let_go();
    CHECK(slow.table.rows().empty());
}

TEST_CASE("a session that is killed inside a body costs that body, which runs nowhere else") {
    number_table table{"tx_body_killed", fixture::server().url()};
    run_on(settings_on(fixture::server(), "killed_body", {.min = 2, .max = 2}),
           [&](pool& lines) -> asio::awaitable<void> {
               co_await lines.start();
               int runs = 0;
               error_code inside;
               const auto body = [&](transaction& tx) -> asio::awaitable<void> {
                   ++runs;
                   co_await tx.execute(table.insert(1));
                   const int pid = tx.connection().backend_pid();
                   table.observer().execute("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
                   inside = co_await outcome_of(tx.execute(table.insert(2)));
                   co_await tx.execute(table.insert(3));
               };
               const auto how = co_await outcome_of(lines.transaction(body));
               CHECK(inside == errc::connection_lost);
               CHECK(how == errc::connection_lost);
               CHECK(how != pool_errc::commit_unknown);
               CHECK(runs == 1);
               CHECK(table.rows().empty());
           });
}

TEST_CASE("a connection that was lost before the COMMIT says so: nothing was committed") {
    number_table table{"tx_lost_before", fixture::server().url()};
    run_on(settings_on(fixture::server(), "lost_before", {.min = 0, .max = 1}),
           [&](pool& lines) -> asio::awaitable<void> {
               auto lease = co_await lines.acquire();
               auto tx = co_await lease->begin();
               co_await tx.execute(table.insert(1));
               table.observer().execute("SELECT pg_terminate_backend(" + std::to_string(lease->backend_pid()) + ")");
               const bool seen = co_await reached([&] { return lease->server_parameter("server_version").empty(); });
               CHECK(seen);
               const auto how = co_await outcome_of(tx.commit());
               CHECK(how == errc::connection_lost);
               const auto rolled_back = co_await outcome_of(tx.rollback());
               CHECK(rolled_back == pool_errc::transaction_ended);
               auto begun = co_await outcome_of(lease->begin());
               CHECK(begun == errc::connection_lost);
               CHECK(table.rows().empty());
           });
}

TEST_CASE("a lease that expires inside a transaction ends it with the lease's error") {
    number_table table{"tx_expired", fixture::server().url()};
    auto settings = settings_on(fixture::server(), "expired", {.min = 0, .max = 1});
    settings.lease.timeout = 2s;
    run_on(settings, [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto tx = co_await lease->begin();
        co_await tx.execute(table.insert(1));
        const auto slept = co_await outcome_of(tx.query("SELECT pg_sleep(600)"));
        CHECK(slept == pool_errc::lease_expired);
        const auto committed = co_await outcome_of(tx.commit());
        CHECK(committed == pool_errc::lease_expired);
        CHECK(table.rows().empty());
    });
}

TEST_CASE("a transaction begins and ends in one round trip each, whatever it shall be") {
    bad_line on{"round_trips"};
    run(on.context, [&]() -> asio::awaitable<void> {
        auto lease = co_await on.pool.acquire();
        const auto before = on.proxy.counts().bursts;
        auto tx = co_await lease->begin(
            {.isolation = isolation_level::serializable, .access = access_mode::read_only, .deferrable = true});
        CHECK(on.proxy.counts().bursts == before + 1);
        auto inner = co_await tx.begin();
        co_await inner.commit();
        CHECK(on.proxy.counts().bursts == before + 3);
        co_await tx.commit();
        CHECK(on.proxy.counts().bursts == before + 4);
        lease.release();
        co_await on.pool.close(10s);
    });
}

TEST_CASE("a BEGIN that is cancelled leaves no transaction open, whether the server took it or not") {
    number_table table{"tx_begin_cancelled", fixture::server().url()};
    bad_line on{"cancelled_begin"};
    run(on.context, [&]() -> asio::awaitable<void> {
        auto lease = co_await on.pool.acquire();
        on.proxy.set({.to_server = {}, .to_client = {.stopped = true}}, sessions_of_proxy::open);
        std::optional<error_code> how;
        const auto work = [&]() -> asio::awaitable<void> { how = co_await outcome_of(lease->begin()); };
        asio::cancellation_signal stop;
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, work(), asio::bind_cancellation_slot(stop.slot(), asio::detached));
        const int pid = lease->backend_pid();
        const bool begun = co_await reached([&] { return table.state_of(pid) == "idle in transaction"; });
        CHECK(begun);
        stop.emit(asio::cancellation_type::terminal);
        const bool ended = co_await reached([&] { return how.has_value(); });
        CHECK(ended);
        CHECK(how.value_or(error_code{}) == asio::error::operation_aborted);
        on.proxy.heal();
        co_await lease->execute(table.insert(1));
        CHECK(table.rows() == "1");
        CHECK(table.state_of(pid) == "idle");
        lease.release();
        co_await on.pool.close(10s);
    });
}
