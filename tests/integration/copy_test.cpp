#include "transaction_fixture.hpp"

#include <trunkline/sqlstate.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <optional>
#include <stdexcept>
#include <utility>

// COPY in both directions, against the server that there is.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 1});
}

error_code code_of_state(std::string_view state) { return {sqlstate_value(state), sqlstate_category()}; }

asio::awaitable<std::string> all_of(copy_reader& from) {
    std::string all;
    while (const auto piece = co_await from.next()) {
        all += *piece;
    }
    co_return all;
}

asio::awaitable<std::string> rows_of_t(connection& on) {
    return value_of(on, "SELECT coalesce(string_agg(t::text, ' ' ORDER BY i), '') FROM t");
}

}  // namespace

TEST_CASE("what COPY gives it takes again, in every format, in pieces of any size") {
    const std::string format = GENERATE("text", "csv", "binary");
    const auto size = GENERATE(as<std::size_t>{}, 1, 100, 1'000'000);
    auto settings = settings_for("copy");
    settings.query.timeout = GENERATE(0ms, 60'000ms);
    run_on(settings, [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int, s text)");
        co_await held->query("CREATE TEMP TABLE u (i int, s text)");
        co_await held->query(
            "INSERT INTO t SELECT i, nullif(repeat('a,\"\t\n\\ä', i % 50), '') FROM generate_series(1, 3000) i");
        auto from = co_await held->copy_out("COPY t TO STDOUT (FORMAT " + format + ")");
        const auto data = co_await all_of(from);
        const auto none = co_await from.next();
        CHECK(!none.has_value());
        CHECK(data.size() > 200'000);
        auto to = co_await held->copy_in("COPY u FROM STDIN (FORMAT " + format + ")");
        for (std::size_t at = 0; at < data.size(); at += size) {
            co_await to.write(std::string_view{data}.substr(at, size));
        }
        const auto stored = co_await to.finish();
        CHECK(stored == 3000);
        const auto different = co_await value_of(*held, "SELECT count(*)::text FROM (TABLE t EXCEPT ALL TABLE u) d");
        CHECK(different == "0");
    });
}

TEST_CASE("rows of values are stored as the types of their columns") {
    run_on(settings_for("copy_rows"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query(
            "CREATE TEMP TABLE t (i bigint, s text, f float8, b bool, at timestamptz, raw bytea, l int[])");
        const auto when = std::chrono::sys_days{std::chrono::year{2024} / 2 / 29};
        const std::vector<int> list{1, 2, 3};
        auto to = co_await held->copy_in("COPY t FROM STDIN (FORMAT binary)");
        for (std::int64_t i = 0; i < 5'000; ++i) {
            const auto text = i % 7 == 0 ? std::optional<std::string>{} : std::optional{"row " + std::to_string(i)};
            co_await to.write_row(i, text, static_cast<double>(i) / 2, i % 2 == 0, when + std::chrono::seconds{i},
                                  std::as_bytes(std::span{"\0\1\2", 3}), list);
        }
        const auto stored = co_await to.finish();
        CHECK(stored == 5'000);
        const auto got = co_await held->query(
            "SELECT count(*), count(s), sum(f), sum(b::int), max(at), max(length(raw)), max(l[3]) FROM t");
        CHECK(got[0].get<std::int64_t>(0) == 5'000);
        CHECK(got[0].get<std::int64_t>(1) == 5'000 - 715);
        CHECK(got[0].get<double>(2) == 2'499.5 * 2'500);
        CHECK(got[0].get<std::int64_t>(3) == 2'500);
        CHECK(got[0].get<std::chrono::sys_time<std::chrono::microseconds>>(4) == when + 4'999s);
        CHECK(got[0].get<int>(5) == 3);
        CHECK(got[0].get<int>(6) == 3);
    });
}

TEST_CASE("a COPY of nothing stores nothing, in every format") {
    const std::string format = GENERATE("text", "csv", "binary");
    run_on(settings_for("copy_nothing"), [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        auto to = co_await held->copy_in("COPY t FROM STDIN (FORMAT " + format + ")");
        const auto stored = co_await to.finish();
        CHECK(stored == 0);
        const auto again = co_await outcome_of(to.finish());
        CHECK(again == pool_errc::copy_ended);
        const auto more = co_await outcome_of(to.write("1\n"));
        CHECK(more == pool_errc::copy_ended);
        co_await to.abort();  // does nothing
        copy_writer nobodys;
        const auto refused = co_await outcome_of(nobodys.write("1\n"));
        CHECK(refused == pool_errc::copy_ended);
        auto from = co_await held->copy_out("COPY t TO STDOUT");
        const auto nothing = co_await from.next();
        CHECK(!nothing.has_value());
    });
}

TEST_CASE("HY-3: a COPY that its producer leaves is undone, and the connection goes on") {
    const int way = GENERATE(0, 1, 2);
    run_on(settings_for("copy_left"), [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        for (int i = 0; i < 20; ++i) {
            const auto produce = [&]() -> asio::awaitable<void> {
                auto to = co_await held->copy_in("COPY t FROM STDIN");
                const std::string rows(static_cast<std::size_t>(i) * 20'000, '1');
                co_await to.write(rows + "\n");
                if (way == 0) {
                    throw std::runtime_error{"the producer's"};
                }
                if (way == 1) {
                    co_await to.abort("no more");
                }
            };
            std::string why;
            try {
                co_await produce();
            } catch (const std::runtime_error& failed) {
                why = failed.what();
            }
            CHECK(why == (way == 0 ? "the producer's" : ""));
            const auto rows = co_await rows_of_t(*held);
            CHECK(rows.empty());
            CHECK(held->backend_pid() == pid);
        }
        CHECK(lines.stats().cancels == 0);
    });
}

TEST_CASE("rows of values that do not fit their COPY are refused, and it goes on") {
    run_on(settings_for("copy_misfits"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int, day date)");
        const auto code_of = [](auto call) {
            error_code code;
            try {
                (void)call();
            } catch (const error& refused) {
                code = refused.code();
            }
            return code;
        };
        using std::chrono::year;
        auto to = co_await held->copy_in("COPY t FROM STDIN (FORMAT binary)");
        const auto leap_day = year{2024} / 2 / 29;
        co_await to.write_row(1, leap_day);
        CHECK(code_of([&] { return to.write_row(2); }) == pool_errc::invalid_value);
        CHECK(code_of([&] { return to.write_row(2, nullptr, 3); }) == pool_errc::invalid_value);
        CHECK(code_of([&] { return to.write_row(2, year{2024} / 2 / 30); }) == pool_errc::invalid_value);
        const auto raw = co_await outcome_of(to.write("raw"));
        CHECK(raw == pool_errc::invalid_value);
        co_await to.write_row(3, nullptr);
        const auto stored = co_await to.finish();
        CHECK(stored == 2);
        const auto rows = co_await rows_of_t(*held);
        CHECK(rows == "(1,2024-02-29) (3,)");

        auto csv = co_await held->copy_in("COPY t FROM STDIN (FORMAT csv)");
        CHECK(code_of([&] { return csv.write_row(2, nullptr); }) == pool_errc::invalid_value);
        co_await csv.abort();
        auto wide = co_await held->copy_in("COPY t FROM STDIN (FORMAT binary)");
        co_await wide.write_row(std::int64_t{1}, nullptr);
        std::optional<error> why;
        try {
            (void)co_await wide.finish();
        } catch (const error& failed) {
            why.emplace(failed);
        }
        REQUIRE(why.has_value());
        CHECK(why->sqlstate() == "22P03");
        CHECK(why->detail() == "COPY t, line 1, column i");
    });
}

TEST_CASE("a statement that is no COPY of that direction is refused, and the connection goes on") {
    run_on(settings_for("copy_others"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        for (const char* const sql : {"SELECT 1", "", "COPY (SELECT generate_series(1, 1000)) TO STDOUT"}) {
            const auto how = co_await outcome_of(held->copy_in(sql));
            CHECK(how == pool_errc::unsupported_statement);
        }
        for (const char* const sql : {"SELECT 1", "", "COPY t FROM STDIN"}) {
            const auto how = co_await outcome_of(held->copy_out(sql));
            CHECK(how == pool_errc::unsupported_statement);
        }
        const auto in = co_await outcome_of(held->copy_in("COPY nonsense FROM STDIN"));
        CHECK(in == sqlstate::undefined_table);
        const auto out = co_await outcome_of(held->copy_out("COPY nonsense TO STDOUT"));
        CHECK(out == sqlstate::undefined_table);
        const auto then = co_await value_of(*held, "SELECT 'on'");
        CHECK(then == "on");
    });
}

TEST_CASE("a server that is slower than the program makes it wait, and a COPY that is cancelled then is undone") {
    const bool cancelled = GENERATE(false, true);
    run_on(settings_for("copy_slow"), [=](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{fixture::url()};
        observer.execute("DROP TABLE IF EXISTS slow_copy; CREATE TABLE slow_copy (i int, s text);"
                         "CREATE OR REPLACE FUNCTION wait_in_copy() RETURNS trigger LANGUAGE plpgsql AS "
                         "'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END';"
                         "CREATE TRIGGER waits BEFORE INSERT ON slow_copy FOR EACH ROW EXECUTE FUNCTION wait_in_copy();"
                         "SELECT pg_advisory_lock(4711)");
        auto held = co_await lines.acquire();
        const std::string row = "1\t" + std::string(10'000, 'x') + "\n";
        constexpr std::size_t rows = 5'000;  // 50 MB
        std::size_t written = 0;
        std::uint64_t stored = 0;
        asio::cancellation_signal stop;
        std::optional<error_code> how;
        const auto produce = [&]() -> asio::awaitable<void> {
            auto to = co_await held->copy_in("COPY slow_copy FROM STDIN");
            for (; written < rows; ++written) {
                co_await to.write(row);
            }
            stored = co_await to.finish();
        };
        const auto body = [&]() -> asio::awaitable<void> { how = co_await outcome_of(produce()); };
        asio::co_spawn(co_await asio::this_coro::executor, body(),
                       asio::bind_cancellation_slot(stop.slot(), asio::detached));
        std::size_t before = 1;
        const auto stands = [&] { return std::exchange(before, written) == written && written > 0; };
        const bool waits = co_await reached(stands);
        CHECK(waits);
        CHECK(written < 2'000);  // what the kernel holds on the way, and 64 KiB
        if (cancelled) {
            stop.emit(asio::cancellation_type::terminal);
        } else {
            observer.execute("SELECT pg_advisory_unlock(4711)");
        }
        const bool ended = co_await reached([&] { return how.has_value(); });
        REQUIRE(ended);
        CHECK(*how == (cancelled ? error_code{asio::error::operation_aborted} : error_code{}));
        CHECK(stored == (cancelled ? 0 : rows));
        const auto then = co_await value_of(*held, "SELECT count(*)::text FROM slow_copy");
        CHECK(then == std::to_string(stored));
        CHECK(lines.stats().cancels_unproven == 0);
    });
}

TEST_CASE("inside a transaction a COPY belongs to it, and a failed one fails it") {
    auto settings = settings_for("copy_transaction");
    settings.query.timeout = 60s;
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        number_table table{"copied"};
        auto held = co_await lines.acquire();
        auto tx = co_await held->begin();
        co_await tx.query(table.insert(1));
        auto to = co_await tx.copy_in("COPY copied FROM STDIN");
        co_await to.write("2\n3");
        const auto early = co_await outcome_of(tx.commit());
        CHECK(early == pool_errc::operation_in_progress);
        const auto stored = co_await to.finish();
        CHECK(stored == 2);
        CHECK(table.rows().empty());
        auto inner = co_await tx.begin();
        auto bad = co_await inner.copy_in("COPY copied FROM STDIN");
        co_await bad.write("3\n");
        const auto refused = co_await outcome_of(bad.finish());
        CHECK(refused == sqlstate::unique_violation);
        co_await inner.rollback();
        co_await tx.commit();
        CHECK(table.rows() == "1 2 3");
    });
}

TEST_CASE("a lease that ends ends its COPY, and who has the connection next sees nothing of it") {
    const bool in = GENERATE(true, false);
    run_on(settings_for("copy_lease"), [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        error_code how;
        if (in) {
            auto to = co_await held->copy_in("COPY t FROM STDIN");
            held.release();
            const auto wrote = co_await outcome_of(to.write(std::string(100'000, '1')));
            how = wrote;
        } else {
            auto from = co_await held->copy_out("COPY (SELECT generate_series(1, 10000000)) TO STDOUT");
            (void)co_await from.next();
            held.release();
            how = co_await outcome_of(all_of(from));
        }
        CHECK(how == pool_errc::lease_released);
        const auto next = co_await lines.query("SELECT 'mine'");
        CHECK(next[0].get<std::string>(0) == "mine");
    });
}

TEST_CASE("COPY's data that nobody wants any more is stopped, and the connection goes on") {
    run_on(settings_for("copy_stop"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        for (int i = 0; i < 20; ++i) {
            auto from = co_await held->copy_out("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT");
            const auto first = co_await from.next();
            CHECK((first && *first == "1\n"));
            from.stop();
            const auto then = co_await value_of(*held, "SELECT 'on'");
            CHECK(then == "on");
        }
        auto failing =
            co_await held->copy_out("COPY (SELECT 1 / (500 - i) FROM generate_series(1, 1000) AS i) TO STDOUT");
        const auto how = co_await outcome_of(all_of(failing));
        CHECK(how == code_of_state("22012"));
        CHECK(lines.stats().opened == 1);
    });
}
