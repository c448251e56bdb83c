#include "transaction_fixture.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

// The callable: a transaction around it, and when it runs again.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings(std::size_t connections) {
    auto chosen = fixture::settings("transaction_bodies", {.min = 0, .max = connections});
    // Deadlocks are looked for soon, and by whoever waits.
    chosen.connect.url += chosen.connect.url.find('?') == std::string::npos ? "?" : "&";
    chosen.connect.url += "options=-c%20deadlock_timeout%3D20ms";
    return chosen;
}

constexpr retry_options thrice{.attempts = 3, .backoff_initial = 1ms, .backoff_max = 2ms};

struct words {
    std::string first;
    std::string second;
};

/// Raises what the server would raise.
std::string raising(const char* state) {
    return std::string{"DO $$ BEGIN RAISE EXCEPTION 'asked for' USING ERRCODE = '"} + state + "'; END $$";
}

/// Waits until so many runs have come here; those that come later pass.
class meeting {
public:
    explicit meeting(int of) : of_{of} {}
    asio::awaitable<void> come() {
        ++here_;
        const bool all = co_await reached([&] { return here_ >= of_; });
        CHECK(all);
    }

private:
    int of_;
    int here_ = 0;
};

}  // namespace

TEST_CASE("a body's work is committed when it returns, and its value comes back") {
    number_table table{"tx_body"};
    run_on(settings(2), [&](pool& lines) -> asio::awaitable<void> {
        const auto count = [&](transaction& tx) -> asio::awaitable<std::uint64_t> {
            co_return co_await tx.execute(table.insert(1));
        };
        const auto rows = co_await lines.transaction(count);
        CHECK(rows == 1);
        auto lease = co_await lines.acquire();
        co_await lease->transaction(
            [&](transaction& tx) -> asio::awaitable<void> { co_await tx.execute(table.insert(2)); });
        const auto both = [](transaction& tx) -> asio::awaitable<words> {
            const auto row =
                co_await tx.query("SELECT 'a string too long to lie in its object', 'so is this one, I hope'");
            words said{row[0].get<std::string>(0), row[0].get<std::string>(1)};
            co_return said;
        };
        const auto said = co_await lease->transaction(both);
        CHECK(said.first == "a string too long to lie in its object");
        CHECK(said.second == "so is this one, I hope");
        CHECK(table.rows() == "1 2");
    });
}

TEST_CASE("a body that throws is rolled back at once, and the same exception comes out") {
    number_table table{"tx_body_throws"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        int runs = 0;
        const auto body = [&](transaction& tx) -> asio::awaitable<int> {
            ++runs;
            co_await tx.execute(table.insert(1));
            throw std::runtime_error{"the body's own"};
        };
        std::string seen;
        try {
            co_await lease->transaction(body, {}, thrice);
        } catch (const std::runtime_error& thrown) {
            seen = thrown.what();
        }
        CHECK(seen == "the body's own");
        CHECK(runs == 1);
        CHECK(table.state_of(lease->backend_pid()) == "idle");
        CHECK(table.rows().empty());
    });
}

TEST_CASE("two serializable transactions that collide are both done in the end") {
    number_table table{"tx_serializable"};
    run_on(settings(2), [&](pool& lines) -> asio::awaitable<void> {
        meeting both{2};
        int runs = 0;
        int done = 0;
        // Each adds a row whose value tells how many it has seen: 1 and 12, or 2 and 11, as if one came after the other.
        const auto one = [&](int own) -> asio::awaitable<void> {
            const auto body = [&](transaction& tx) -> asio::awaitable<void> {
                ++runs;
                const auto seen = co_await tx.query("SELECT count(*) FROM tx_serializable");
                co_await both.come();
                co_await tx.execute("INSERT INTO tx_serializable VALUES ($1)", own + 10 * seen[0].get<std::int64_t>(0));
            };
            co_await lines.transaction(body, {.isolation = isolation_level::serializable});
            ++done;
        };
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, one(1), asio::detached);
        asio::co_spawn(here, one(2), asio::detached);
        const bool all = co_await reached([&] { return done == 2; });
        CHECK(all);
        CHECK(runs == 3);
        const auto rows = table.rows();
        CHECK((rows == "1 12" || rows == "2 11"));
    });
}

TEST_CASE("two transactions that lock each other out are both done in the end") {
    number_table table{"tx_deadlock"};
    run_on(settings(2), [&](pool& lines) -> asio::awaitable<void> {
        table.observer().execute("ALTER TABLE tx_deadlock ADD n int NOT NULL DEFAULT 0");
        table.observer().execute("INSERT INTO tx_deadlock VALUES (1), (2)");
        meeting both{2};
        int runs = 0;
        int done = 0;
        const auto one = [&](int first, int second) -> asio::awaitable<void> {
            const auto body = [&](transaction& tx) -> asio::awaitable<void> {
                ++runs;
                co_await tx.execute("UPDATE tx_deadlock SET n = n + 1 WHERE v = $1", first);
                co_await both.come();
                co_await tx.execute("UPDATE tx_deadlock SET n = n + 1 WHERE v = $1", second);
            };
            co_await lines.transaction(body);
            ++done;
        };
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, one(1, 2), asio::detached);
        asio::co_spawn(here, one(2, 1), asio::detached);
        const bool all = co_await reached([&] { return done == 2; });
        CHECK(all);
        CHECK(runs == 3);
        CHECK(table.observer().scalar("SELECT string_agg(n::text, ' ') FROM tx_deadlock") == "2 2");
    });
}

TEST_CASE("a body runs no more often than allowed, and then its error comes out") {
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int runs = 0;
        const auto collide = [&](transaction& tx) -> asio::awaitable<void> {
            ++runs;
            co_await tx.execute(raising(runs % 2 == 0 ? "40P01" : "40001"));
        };
        const auto by_three = co_await outcome_of(lines.transaction(collide, {}, thrice));
        CHECK(by_three == sqlstate::serialization_failure);
        CHECK(std::exchange(runs, 0) == 3);
        const auto never = co_await outcome_of(lines.transaction(collide, {}, no_retry));
        CHECK(never == sqlstate::serialization_failure);
        CHECK(std::exchange(runs, 0) == 1);
        const auto by_default = co_await outcome_of(lines.transaction(collide));
        CHECK(by_default == sqlstate::serialization_failure);
        CHECK(std::exchange(runs, 0) == 5);
        auto lease = co_await lines.acquire();
        const auto on_a_lease = co_await outcome_of(lease->transaction(collide));
        CHECK(on_a_lease == sqlstate::serialization_failure);
        CHECK(std::exchange(runs, 0) == 1);
        const auto none = co_await outcome_of(lease->transaction(collide, {}, {.attempts = 0}));
        CHECK(none == pool_errc::invalid_value);
        const auto negative = co_await outcome_of(lease->transaction(collide, {}, {.backoff_initial = -1ms}));
        CHECK(negative == pool_errc::invalid_value);
        CHECK(runs == 0);
    });
}

TEST_CASE("a COMMIT that collides runs the body again; what else it says does not") {
    number_table table{"tx_commit_collides"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        table.observer().execute(
            "CREATE OR REPLACE FUNCTION tx_collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF new.v < 10 THEN RAISE EXCEPTION 'late' USING ERRCODE = '40001'; "
            "ELSIF new.v > 19 THEN RAISE EXCEPTION 'bad' USING ERRCODE = '23514'; END IF; "
            "RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON tx_commit_collides DEFERRABLE INITIALLY "
            "DEFERRED FOR EACH ROW EXECUTE FUNCTION tx_collide()");
        int value = 8;
        const auto insert = [&](transaction& tx) -> asio::awaitable<int> {
            co_await tx.execute(table.insert(value));
            co_return value++;
        };
        const auto last = co_await lines.transaction(insert);
        CHECK(last == 10);
        CHECK(table.rows() == "10");
        value = 20;
        const auto refused = co_await outcome_of(lines.transaction(insert));
        CHECK(refused == sqlstate::check_violation);
        CHECK(value == 21);
        CHECK(table.rows() == "10");
    });
}

TEST_CASE("a body that has ended its transaction itself is not run again") {
    number_table table{"tx_ended_inside"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int value = 0;
        const auto by_guard = [&](transaction& tx) -> asio::awaitable<void> {
            auto& on = tx.connection();
            co_await tx.execute(table.insert(++value));
            co_await tx.commit();
            co_await on.execute(raising("40001"));
        };
        const auto after_guard = co_await outcome_of(lines.transaction(by_guard));
        CHECK(after_guard == sqlstate::serialization_failure);
        CHECK(table.rows() == "1");
        const auto by_sql = [&](transaction& tx) -> asio::awaitable<void> {
            co_await tx.execute(table.insert(++value));
            co_await tx.execute("COMMIT");
            co_await tx.connection().execute(raising("40001"));
        };
        const auto after_sql = co_await outcome_of(lines.transaction(by_sql));
        CHECK(after_sql == sqlstate::serialization_failure);
        CHECK(table.rows() == "1 2");
        const auto and_returns = [&](transaction& tx) -> asio::awaitable<int> {
            co_await tx.execute(table.insert(++value));
            co_await tx.commit();
            co_return value;
        };
        const auto got = co_await lines.transaction(and_returns);
        CHECK(got == 3);
        CHECK(table.rows() == "1 2 3");
    });
}

TEST_CASE("a body that puts another transaction in the place of its own is not run again") {
    number_table table{"tx_replaced"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int value = 0;
        const auto in_parts = [&](transaction& tx) -> asio::awaitable<void> {
            auto& on = tx.connection();
            co_await tx.execute(table.insert(++value));
            co_await tx.commit();
            tx = co_await on.begin();
            co_await tx.execute(raising("40001"));
        };
        const auto how = co_await outcome_of(lines.transaction(in_parts));
        CHECK(how == sqlstate::serialization_failure);
        CHECK(table.rows() == "1");
    });
}

TEST_CASE("a body whose lease ends, or that gives its transaction away, has committed nothing and is not told it had") {
    number_table table{"tx_let_go"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        auto lease = co_await lines.acquire();
        const auto lets_go = [&](transaction& tx) -> asio::awaitable<void> {
            co_await tx.execute(table.insert(1));
            lease.release();
        };
        const auto released = co_await outcome_of(lease->transaction(lets_go));
        CHECK(released == pool_errc::lease_released);
        const auto gives_away = [&](transaction& tx) -> asio::awaitable<void> {
            co_await tx.execute(table.insert(2));
            const auto mine = std::move(tx);
        };
        const auto given = co_await outcome_of(lines.transaction(gives_away));
        CHECK(given == pool_errc::transaction_ended);
        const auto empty = [&] { return table.rows().empty(); };
        const bool rolled_back = co_await reached(empty);
        CHECK(rolled_back);
    });
}

TEST_CASE("a COMMIT of which the server itself does not know the outcome is unknown") {
    const std::string code = GENERATE("08007", "40003");
    number_table table{"tx_server_unsure"};
    table.observer().execute("CREATE OR REPLACE FUNCTION tx_unsure() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                             "RAISE EXCEPTION 'who knows' USING ERRCODE = '" +
                             code +
                             "'; END $$; CREATE CONSTRAINT TRIGGER unsure AFTER INSERT ON tx_server_unsure DEFERRABLE "
                             "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tx_unsure()");
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int runs = 0;
        const auto body = [&](transaction& tx) -> asio::awaitable<void> {
            ++runs;
            co_await tx.execute(table.insert(1));
        };
        const auto how = co_await outcome_of(lines.transaction(body));
        CHECK(how == pool_errc::commit_unknown);
        CHECK(runs == 1);
    });
}

TEST_CASE("a savepoint's body is rolled back alone, and never run again by itself") {
    number_table table{"tx_savepoint"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int inner_runs = 0;
        int outer_runs = 0;
        const auto bad = [&](transaction& tx) -> asio::awaitable<void> {
            co_await tx.execute(table.insert(2));
            throw std::runtime_error{"not this"};
        };
        const auto good = [&](transaction& tx) -> asio::awaitable<int> {
            co_await tx.execute(table.insert(3));
            co_return 3;
        };
        const auto colliding = [&](transaction& tx) -> asio::awaitable<void> {
            if (++inner_runs < 3) {
                co_await tx.execute(raising("40001"));
            }
        };
        const auto outer = [&](transaction& tx) -> asio::awaitable<void> {
            ++outer_runs;
            co_await tx.execute(table.insert(1));
            bool thrown = false;
            try {
                co_await tx.savepoint(bad);
            } catch (const std::runtime_error&) {
                thrown = true;
            }
            CHECK(thrown);
            const auto got = co_await tx.savepoint(good);
            CHECK(got == 3);
            co_await tx.connection().transaction(colliding, {}, thrice);  // a savepoint, too
        };
        co_await lines.transaction(outer);
        CHECK(outer_runs == 3);
        CHECK(inner_runs == 3);
        CHECK(table.rows() == "1 3");
    });
}

TEST_CASE("a cancelled body is not run again, and its work is undone") {
    number_table table{"tx_body_cancelled"};
    run_on(settings(1), [&](pool& lines) -> asio::awaitable<void> {
        int runs = 0;
        bool waits = false;
        const auto body = [&](transaction& tx) -> asio::awaitable<void> {
            ++runs;
            co_await tx.execute(table.insert(1));
            waits = true;
            co_await hang();
        };
        error_code how;
        bool ended = false;
        const auto one = [&]() -> asio::awaitable<void> {
            try {
                co_await lines.transaction(body);
            } catch (const boost::system::system_error& failure) {
                how = failure.code();
            }
            ended = true;
        };
        asio::cancellation_signal stop;
        const auto here = co_await asio::this_coro::executor;
        asio::co_spawn(here, one(), asio::bind_cancellation_slot(stop.slot(), asio::detached));
        const bool begun = co_await reached([&] { return waits; });
        CHECK(begun);
        stop.emit(asio::cancellation_type::terminal);
        const bool over = co_await reached([&] { return ended; });
        CHECK(over);
        CHECK(how == asio::error::operation_aborted);
        CHECK(runs == 1);
        const auto left = co_await lines.query("SELECT count(*) FROM tx_body_cancelled");
        CHECK(left[0].get<std::int64_t>(0) == 0);
        const bool at_rest = co_await reached([&] { return lines.stats().leased == 0; });
        CHECK(at_rest);
    });
}
