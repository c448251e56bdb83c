#include "transaction_fixture.hpp"

#include <array>
#include <optional>
#include <stdexcept>

// The guard: a transaction that is rolled back unless it is committed.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

constexpr const char* assigned = "SELECT coalesce(pg_current_xact_id_if_assigned()::text, 'none')";

pool_settings one_connection() { return fixture::settings("transactions", {.min = 1, .max = 1}); }

}  // namespace

TEST_CASE("what is committed stays, and what is rolled back does not") {
    number_table table{"tx_ends"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto kept = co_await lease->begin();
        const auto count = co_await kept.execute("INSERT INTO tx_ends VALUES ($1), ($2)", 1, 2);
        CHECK(count == 2);
        CHECK(kept.is_open());
        CHECK(table.rows().empty());
        co_await kept.commit();
        CHECK_FALSE(kept.is_open());
        CHECK(table.rows() == "1 2");

        auto undone = co_await lease->begin();
        co_await undone.execute(table.insert(3));
        co_await undone.rollback();
        CHECK_FALSE(undone.is_open());
        CHECK(table.state_of(lease->backend_pid()) == "idle");
        CHECK(table.rows() == "1 2");
    });
}

TEST_CASE("after a guard is gone the next statement on its lease runs outside the abandoned transaction") {
    number_table table{"tx_abandoned"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        {
            const auto dropped = co_await lease->begin();
            co_await lease->execute(table.insert(1));
        }
        const auto id = co_await value_of(*lease, assigned);
        CHECK(id == "none");
        co_await lease->execute(table.insert(2));
        CHECK(table.rows() == "2");
        {
            auto first = co_await lease->begin();
            co_await first.execute(table.insert(3));
            first = co_await lease->begin();  // a savepoint; the guard of the transaction around it is gone
            CHECK_FALSE(first.is_open());
        }
        auto second = co_await lease->begin();
        CHECK_FALSE(second.is_savepoint());
        co_await second.execute(table.insert(4));
        co_await second.commit();
        CHECK(table.rows() == "2 4");
    });
}

TEST_CASE("an exception that passes a guard rolls its transaction back, and the lease need not be used again") {
    number_table table{"tx_thrown"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        int pid = 0;
        bool thrown = false;
        try {
            auto lease = co_await lines.acquire();
            pid = lease->backend_pid();
            auto tx = co_await lease->begin();
            co_await tx.execute(table.insert(1));
            throw std::runtime_error{"the program's own"};
        } catch (const std::runtime_error&) {
            thrown = true;
        }
        CHECK(thrown);
        const bool idle = co_await reached([&] { return table.state_of(pid) == "idle"; });
        CHECK(idle);
        CHECK(table.rows().empty());
    });
}

TEST_CASE("a savepoint is released, rolled back, or abandoned, and the transaction around it goes on") {
    number_table table{"tx_nested"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto outer = co_await lease->begin();
        co_await outer.execute(table.insert(1));
        {
            auto kept = co_await outer.begin();
            CHECK(kept.is_savepoint());
            co_await kept.execute(table.insert(2));
            co_await kept.commit();
        }
        {
            auto undone = co_await outer.begin();
            co_await undone.execute(table.insert(3));
            co_await undone.rollback();
        }
        {
            auto abandoned = co_await outer.begin();
            auto deeper = co_await abandoned.begin();
            co_await deeper.execute(table.insert(4));
        }
        co_await outer.execute(table.insert(5));
        {
            auto failed = co_await lease->begin();  // the connection knows that it is inside
            CHECK(failed.is_savepoint());
            const auto code = co_await outcome_of(failed.execute(table.insert(5)));
            CHECK(code == sqlstate::unique_violation);
            const auto committed = co_await outcome_of(failed.commit());
            CHECK(committed == pool_errc::transaction_aborted);
        }
        CHECK(outer.is_open());
        co_await outer.commit();
        CHECK(table.rows() == "1 2 5");
    });
}

TEST_CASE("BEGIN carries what a transaction shall be") {
    struct row {
        transaction_options options;
        const char* isolation;
        const char* read_only;
        const char* deferrable;
    };
    using enum isolation_level;
    constexpr std::array rows{
        row{{}, "read committed", "on", "off"},  // the database's default says read only
        row{{.access = access_mode::read_write}, "read committed", "off", "off"},
        row{{.isolation = repeatable_read}, "repeatable read", "on", "off"},
        row{{.isolation = serializable, .access = access_mode::read_write}, "serializable", "off", "off"},
        row{{.isolation = serializable, .access = access_mode::read_only, .deferrable = true},
            "serializable",
            "on",
            "on"},
    };
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        co_await lease->execute("SET default_transaction_read_only = on");
        for (const auto& wanted : rows) {
            auto tx = co_await lease->begin(wanted.options);
            const auto isolation = co_await value_of(tx, "SHOW transaction_isolation");
            const auto read_only = co_await value_of(tx, "SHOW transaction_read_only");
            const auto deferrable = co_await value_of(tx, "SHOW transaction_deferrable");
            CHECK(isolation == wanted.isolation);
            CHECK(read_only == wanted.read_only);
            CHECK(deferrable == wanted.deferrable);
            co_await tx.commit();
        }
    });
}

TEST_CASE("options that say nothing together, or of a savepoint, are refused, and nothing is sent") {
    number_table table{"tx_refused"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        const auto alone = co_await outcome_of(lease->begin({.deferrable = true}));
        CHECK(alone == pool_errc::invalid_value);
        const auto writing = co_await outcome_of(lease->begin(
            {.isolation = isolation_level::serializable, .access = access_mode::read_write, .deferrable = true}));
        CHECK(writing == pool_errc::invalid_value);
        CHECK(table.state_of(lease->backend_pid()) == "idle");
        auto tx = co_await lease->begin();
        const auto inside = co_await outcome_of(lease->begin({.isolation = isolation_level::serializable}));
        CHECK(inside == pool_errc::invalid_value);
        co_await tx.execute(table.insert(1));
        co_await tx.commit();
        CHECK(table.rows() == "1");
    });
}

TEST_CASE("the COMMIT of a failed transaction is an error, never a success") {
    number_table table{"tx_failed"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto tx = co_await lease->begin();
        co_await tx.execute(table.insert(1));
        const auto failed = co_await outcome_of(tx.execute("SELECT 1 / 0"));
        CHECK(failed == make_error_code(static_cast<sqlstate>(sqlstate_value("22012"))));
        const auto committed = co_await outcome_of(tx.commit());
        CHECK(committed == pool_errc::transaction_aborted);
        CHECK_FALSE(tx.is_open());
        CHECK(table.rows().empty());
        co_await lease->execute(table.insert(2));
        CHECK(table.rows() == "2");
    });
}

TEST_CASE("a COMMIT that the server refuses throws the server's error, and the transaction is over") {
    number_table table{"tx_deferred"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        table.observer().execute(
            "ALTER TABLE tx_deferred ADD CONSTRAINT later UNIQUE (v) DEFERRABLE INITIALLY DEFERRED;"
            "ALTER TABLE tx_deferred DROP CONSTRAINT tx_deferred_pkey");
        auto tx = co_await lease->begin();
        co_await tx.execute(table.insert(1));
        co_await tx.execute(table.insert(1));
        const auto committed = co_await outcome_of(tx.commit());
        CHECK(committed == sqlstate::unique_violation);
        CHECK_FALSE(tx.is_open());
        co_await lease->execute(table.insert(2));
        CHECK(table.rows() == "2");
    });
}

TEST_CASE("what is out of order is refused, and harms nothing") {
    number_table table{"tx_order"};
    run_on(one_connection(), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        auto outer = co_await lease->begin();
        auto inner = co_await outer.begin();
        const auto early = co_await outcome_of(outer.commit());
        CHECK(early == pool_errc::transaction_nested);
        const auto sibling = co_await outcome_of(outer.begin());
        CHECK(sibling == pool_errc::transaction_nested);
        co_await inner.execute(table.insert(1));
        co_await inner.commit();
        const auto twice = co_await outcome_of(inner.commit());
        CHECK(twice == pool_errc::transaction_ended);
        const auto inner_query = co_await outcome_of(inner.execute(table.insert(9)));
        CHECK(inner_query == pool_errc::transaction_ended);
        auto moved = std::move(outer);
        const auto from = co_await outcome_of(outer.commit());
        CHECK(from == pool_errc::transaction_ended);
        co_await moved.commit();
        CHECK(table.rows() == "1");

        auto again = co_await lease->begin();
        auto within = co_await again.begin();
        co_await within.execute(table.insert(2));
        co_await again.rollback();  // with what is inside
        CHECK_FALSE(within.is_open());
        const auto late = co_await outcome_of(within.commit());
        CHECK(late == pool_errc::transaction_ended);
        auto fresh = co_await lease->begin();
        auto deeper = co_await fresh.begin();
        co_await deeper.execute(table.insert(3));
        within = transaction{};  // as deep as `deeper` was, and no longer there
        co_await deeper.commit();
        co_await fresh.commit();
        CHECK(table.rows() == "1 3");
    });
}

TEST_CASE("TO-9: BEGIN, COMMIT and ROLLBACK have their time, and of a COMMIT that exceeds it nobody knows") {
    run_on(fixture::settings("timed_transaction", {.min = 0, .max = 1}), [](pool& lines) -> asio::awaitable<void> {
        number_table table{"timed"};
        table.observer().execute(
            "CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';"
            "CREATE CONSTRAINT TRIGGER lingers AFTER INSERT ON timed DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
            "EXECUTE FUNCTION linger()");
        auto held = co_await lines.acquire();
        auto tx = co_await held->begin({.timeout = 5s});
        co_await tx.query(table.insert(1));
        {
            auto inner = co_await tx.begin(5s);
            co_await inner.rollback(5s);
        }
        const auto late = co_await outcome_of(tx.commit(50ms));
        CHECK(late == pool_errc::commit_unknown);  // the server's own time-out does not cover what a COMMIT does last
        const auto then = co_await value_of(*held, "SELECT 'on'");
        CHECK(then == "on");
        CHECK(table.rows().empty());
    });
}
