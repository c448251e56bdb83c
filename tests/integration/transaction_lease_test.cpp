#include "transaction_fixture.hpp"

#include <optional>
#include <utility>
#include <vector>

// Transactions, the leases that they run on, and what the program does to both.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings one_connection() { return fixture::settings("transaction_leases", {.min = 1, .max = 1}); }

}  // namespace

TEST_CASE("a guard that outlives its lease does nothing to the next borrower") {
    number_table table{"tx_outlived"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto begun = co_await lease->begin();
        std::optional<transaction> old{std::move(begun)};
        co_await old->execute(table.insert(1));
        lease.release();
        CHECK_FALSE(old->is_open());
        auto next = co_await lines.acquire();
        auto tx = co_await next->begin();
        co_await tx.execute(table.insert(2));
        const auto used = co_await outcome_of(old->execute(table.insert(9)));
        CHECK(used == pool_errc::lease_released);
        const auto committed = co_await outcome_of(old->commit());
        CHECK(committed == pool_errc::lease_released);
        old.reset();
        CHECK(tx.is_open());
        co_await tx.commit();
        CHECK(table.rows() == "2");
    });
}

TEST_CASE("a lease that holds nothing begins nothing") {
    run_on(one_connection(), [&](pool&) -> asio::awaitable<void> {
        const lease empty;
        const auto begun = co_await outcome_of(empty->begin());
        CHECK(begun == pool_errc::lease_released);
        transaction none;
        CHECK_FALSE(none.is_open());
        const auto used = co_await outcome_of(none.query("SELECT 1"));
        CHECK(used == pool_errc::transaction_ended);
    });
}

TEST_CASE("a detached connection takes its guards along") {
    number_table table{"tx_detached"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto kept = co_await lease->begin();
        co_await kept.execute(table.insert(1));
        auto own = lease.detach();
        CHECK(kept.is_open());
        co_await kept.commit();
        CHECK(table.rows() == "1");
        auto late = co_await own->begin();
        own = {};
        CHECK_FALSE(late.is_open());
        const auto used = co_await outcome_of(late.commit());
        CHECK(used == pool_errc::lease_released);
    });
}

TEST_CASE("what SQL has begun gets savepoints, and what SQL has ended is over") {
    number_table table{"tx_by_sql"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        co_await lease->execute("BEGIN");
        {
            auto kept = co_await lease->begin();
            CHECK(kept.is_savepoint());
            co_await kept.execute(table.insert(1));
            co_await kept.commit();
            const auto dropped = co_await lease->begin();
            co_await lease->execute(table.insert(2));
        }
        co_await lease->execute("COMMIT");
        CHECK(table.rows() == "1");

        auto ended = co_await lease->begin();
        co_await ended.execute(table.insert(3));
        co_await lease->execute("COMMIT");
        const auto committed = co_await outcome_of(ended.commit());
        CHECK(committed == pool_errc::transaction_ended);
        CHECK(table.rows() == "1 3");
        auto outer = co_await lease->begin();
        {
            const auto inner = co_await outer.begin();
            co_await lease->execute("COMMIT");
        }
        const auto used = co_await outcome_of(outer.execute(table.insert(9)));
        CHECK(used == pool_errc::transaction_ended);
        auto further = co_await lease->begin();
        co_await lease->execute("ROLLBACK");
        const auto begun = co_await outcome_of(further.begin());
        CHECK(begun == pool_errc::transaction_ended);
        co_await lease->execute(table.insert(4));
        CHECK(table.rows() == "1 3 4");
    });
}

TEST_CASE("a savepoint that the program has released itself costs the transaction around it, and no more") {
    number_table table{"tx_unpaid"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto outer = co_await lease->begin();
        {
            auto inner = co_await outer.begin();
            co_await inner.execute(table.insert(1));
            co_await inner.execute("RELEASE SAVEPOINT trunkline_1");  // what nobody should do
        }
        const auto next = co_await outcome_of(outer.execute(table.insert(2)));
        CHECK(next == error_code{sqlstate_value("25P02"), sqlstate_category()});
        const auto committed = co_await outcome_of(outer.commit());
        CHECK(committed == pool_errc::transaction_aborted);
        co_await lease->execute(table.insert(3));
        CHECK(table.rows() == "3");
    });
}

TEST_CASE("a guard that a hook leaves open does not concern the borrower") {
    number_table table{"tx_hook"};
    std::vector<transaction> left;
    pool_hooks hooks;
    hooks.before_acquire = [&](connection& on) -> asio::awaitable<hook_outcome> {
        if (left.empty()) {
            auto tx = co_await on.begin();
            co_await tx.execute(table.insert(1));
            left.push_back(std::move(tx));
        }
        co_return hook_outcome::keep;
    };
    run_on(
        one_connection(),
        [&](pool& lines) -> asio::awaitable<void> {
            auto lease = co_await lines.acquire();
            REQUIRE(left.size() == 1);
            CHECK_FALSE(left.front().is_open());
            auto tx = co_await lease->begin();
            CHECK_FALSE(tx.is_savepoint());
            left.clear();
            co_await tx.execute(table.insert(2));
            co_await tx.commit();
            CHECK(table.rows() == "2");
        },
        std::move(hooks));
}

TEST_CASE("a statement that finds the connection busy leaves the transaction as it was") {
    number_table table{"tx_busy"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto tx = co_await lease->begin();
        co_await tx.execute(table.insert(1));
        const auto here = co_await asio::this_coro::executor;
        bool slept = false;
        const auto sleeper = [&]() -> asio::awaitable<void> {
            co_await tx.query("SELECT pg_advisory_xact_lock(170042)");
            slept = true;
        };
        table.observer().execute("SELECT pg_advisory_lock(170042)");
        asio::co_spawn(here, sleeper(), asio::detached);
        const bool runs = co_await reached([&] { return table.state_of(lease->backend_pid()) == "active"; });
        CHECK(runs);
        const auto committed = co_await outcome_of(tx.commit());
        CHECK(committed == pool_errc::operation_in_progress);
        CHECK(tx.is_open());
        const auto begun = co_await outcome_of(tx.begin());
        CHECK(begun == pool_errc::operation_in_progress);
        table.observer().execute("SELECT pg_advisory_unlock(170042)");
        const bool done = co_await reached([&] { return slept; });
        CHECK(done);
        co_await tx.commit();
        CHECK(table.rows() == "1");
    });
}

TEST_CASE("a transaction whose statement was cancelled is rolled back before the lease's next statement") {
    number_table table{"tx_cancelled"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        std::optional<error_code> ended;
        const auto work = [&]() -> asio::awaitable<void> {
            auto tx = co_await lease->begin();
            co_await tx.execute(table.insert(1));
            co_await tx.query("SELECT pg_sleep(600)");
        };
        asio::cancellation_signal stop;
        const auto told = [&](std::exception_ptr why) {
            try {
                ended.emplace();
                std::rethrow_exception(why);
            } catch (const boost::system::system_error& failure) {
                ended = failure.code();
            }
        };
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, work(), asio::bind_cancellation_slot(stop.slot(), told));
        const bool runs = co_await reached([&] { return table.state_of(lease->backend_pid()) == "active"; });
        CHECK(runs);
        stop.emit(asio::cancellation_type::terminal);
        const bool told_so = co_await reached([&] { return ended.has_value(); });
        REQUIRE(told_so);
        CHECK(*ended == asio::error::operation_aborted);
        co_await lease->execute(table.insert(2));
        CHECK(table.rows() == "2");
        auto next = co_await lease->begin();
        CHECK_FALSE(next.is_savepoint());
        co_await next.commit();
    });
}

TEST_CASE("transactions leave nothing behind that a returned session must be reset for") {
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        for (int i = 0; i < 3; ++i) {
            auto lease = co_await lines.acquire();
            auto outer = co_await lease->begin(
                {.isolation = isolation_level::serializable, .access = access_mode::read_only, .deferrable = true});
            auto kept = co_await outer.begin();
            co_await kept.commit();
            { const auto abandoned = co_await outer.begin(); }
            co_await outer.commit();
            auto undone = co_await lease->begin();
            co_await undone.rollback();
        }
        CHECK(lines.stats().resets == 0);
        CHECK(lines.stats().rollbacks == 0);
    });
}

TEST_CASE("a statement that was made before a transaction was given up does not run inside that") {
    number_table table{"tx_made_before"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto made = lease->execute(table.insert(1));
        {
            auto given_up = co_await lease->begin();
            co_await given_up.execute(table.insert(2));
        }
        const auto how = co_await outcome_of(std::move(made));
        CHECK(how == pool_errc::operation_in_progress);
        co_await lease->execute(table.insert(3));
        CHECK(table.rows() == "3");
    });
}

TEST_CASE("a savepoint that the program has rolled away itself holds nothing up") {
    number_table table{"tx_rolled_away"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        co_await lease->execute("BEGIN");
        co_await lease->execute("SAVEPOINT mine");
        {
            auto inner = co_await lease->begin();
            co_await inner.execute(table.insert(1));
            co_await inner.execute("ROLLBACK TO SAVEPOINT mine");
        }
        const auto failed = co_await outcome_of(*lease, "SELECT 1");  // the transaction has failed: told, and no more
        CHECK(failed == error_code{sqlstate_value("25P02"), sqlstate_category()});
        co_await lease->execute("ROLLBACK");
        co_await lease->execute(table.insert(2));
        CHECK(table.rows() == "2");
    });
}
