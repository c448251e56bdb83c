#include "transaction_fixture.hpp"

#include <trunkline/sqlstate.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <optional>
#include <utility>

// Rows one after another, against the server that there is.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 1});
}

/// The numbers of the first column; `failed`, if it is not null, gets how the stream fails.
asio::awaitable<std::vector<int>> numbers_of(row_stream& from, std::optional<error>* failed = nullptr) {
    std::vector<int> all;
    try {
        while (const auto one = co_await from.next()) {
            all.push_back(one->get<int>(0));
        }
    } catch (const error& why) {
        if (failed == nullptr) {
            throw;
        }
        failed->emplace(why);
    }
    co_return all;
}

bool counts_from_one(const std::vector<int>& all, std::size_t to) {
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i] != static_cast<int>(i + 1)) {
            return false;
        }
    }
    return all.size() == to;
}

// The server sends 8 KiB at a time: rows that are to come one by one are longer, and each one's end comes with the next.
constexpr const char* endless = "SELECT generate_series(1, 1000000000), repeat('x', 1000)";

}  // namespace

TEST_CASE("a stream gives every row in order, and the connection goes on") {
    auto settings = settings_for("stream");
    settings.query.timeout = GENERATE(0ms, 60'000ms);  // with one, the stream stands behind the end of it
    settings.reset.mode = GENERATE(reset_mode::smart, reset_mode::always);
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        for (int round = 0; round < 3; ++round) {
            auto held = co_await lines.acquire();
            co_await held->query("SELECT 1");
            auto rows = co_await held->stream("SELECT i, $2 || i FROM generate_series(1, $1) AS i", 10'000, "row ");
            const auto first = co_await rows.next();
            REQUIRE(first.has_value());
            CHECK(first->get<std::string>(1) == "row 1");
            auto all = co_await numbers_of(rows);
            all.insert(all.begin(), 1);
            CHECK(counts_from_one(all, 10'000));
            CHECK(rows.rows() == 10'000);
            const auto after_end = co_await rows.next();
            CHECK(!after_end.has_value());
            const auto then = co_await value_of(*held, "SELECT 'on'");
            CHECK(then == "on");
        }
        CHECK(lines.stats().opened == 1);
    });
}

TEST_CASE("a stream without rows ends at once, whatever the statement is") {
    run_on(settings_for("stream_empty"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        for (const char* const sql : {"SELECT 1 WHERE false", "INSERT INTO t VALUES (1)", "", "TRUNCATE t"}) {
            INFO(sql);
            auto rows = co_await held->stream(sql);
            const auto none = co_await rows.next();
            CHECK(!none.has_value());
        }
        auto returned = co_await held->stream("INSERT INTO t SELECT generate_series(1, 3) RETURNING i");
        const auto all = co_await numbers_of(returned);
        CHECK(counts_from_one(all, 3));
        row_stream nothing;
        const auto none = co_await nothing.next();
        CHECK(!none.has_value());
    });
}

TEST_CASE(
    "a statement that the server refuses fails before there is a stream, and one that fails midway after its rows") {
    run_on(settings_for("stream_failure"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto refused = co_await failure_of(held->stream("SELECT nonsense"));
        CHECK(refused.code() == sqlstate::undefined_column);
        CHECK(refused.position() == 8);
        CHECK(refused.statement() == "SELECT nonsense");
        auto rows = co_await held->stream("SELECT i, 1 / (500 - i) FROM generate_series(1, 1000) AS i");
        std::optional<error> why;
        const auto before = co_await numbers_of(rows, &why);
        CHECK(counts_from_one(before, 499));
        REQUIRE(why.has_value());
        CHECK(why->sqlstate() == "22012");
        why.reset();
        (void)co_await numbers_of(rows, &why);
        CHECK((why && why->sqlstate() == "22012"));  // still
        const auto then = co_await value_of(*held, "SELECT 'on'");
        CHECK(then == "on");
        CHECK(lines.stats().cancels == 0);
    });
}

TEST_CASE("while a stream is open the connection runs nothing else, and it waits with the server until it is asked") {
    run_on(settings_for("stream_open"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{fixture::url()};
        auto held = co_await lines.acquire();
        auto rows = co_await held->stream(endless);
        const auto meanwhile = co_await outcome_of(held->query("SELECT 1"));
        CHECK(meanwhile == pool_errc::operation_in_progress);
        const auto second = co_await outcome_of(held->stream("SELECT 1"));
        CHECK(second == pool_errc::operation_in_progress);
        const auto waits = [&] {
            return observer.count("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND pid = " +
                                  std::to_string(held->backend_pid())) == 1;
        };
        const bool in_time = co_await reached(waits);
        CHECK(in_time);
        const auto first = co_await rows.next();
        CHECK((first && first->get<int>(0) == 1));
    });
}

TEST_CASE("a stream that is stopped early leaves the connection to the next statement") {
    const bool whole = GENERATE(true, false);  // its end has come already
    run_on(settings_for("stream_stop"), [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        for (int i = 0; i < 20; ++i) {
            auto rows = co_await held->stream(whole ? "SELECT generate_series(1, 10)" : endless);
            const auto first = co_await rows.next();
            CHECK((first && first->get<int>(0) == 1));
            rows.stop();
            const auto none = co_await rows.next();
            CHECK(!none.has_value());
            const auto then = co_await value_of(*held, "SELECT pg_backend_pid()::text");
            CHECK(then == std::to_string(pid));
        }
        CHECK((lines.stats().cancels == 0) == whole);  // what has come is read
        CHECK(lines.stats().cancels_unproven == 0);
        CHECK(lines.stats().drains_given_up == 0);
    });
}

TEST_CASE("a lease that ends ends its stream, and who has the connection next sees nothing of it") {
    run_on(settings_for("stream_lease"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        auto rows = co_await held->stream(endless);
        (void)co_await rows.next();
        held.release();
        std::optional<error> why;
        (void)co_await numbers_of(rows, &why);
        CHECK((why && why->code() == pool_errc::lease_released));
        const auto next = co_await lines.query("SELECT 'mine'");
        CHECK(next[0].get<std::string>(0) == "mine");
    });
}

TEST_CASE("TO-9: a stream's time passes while it waits for the server, and not while the program is busy") {
    auto settings = settings_for("stream_time");
    settings.query.timeout = 1s;
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("SELECT 1");  // tells the server the time
        auto rows = co_await held->stream(endless);
        for (int i = 0; i < 2; ++i) {
            co_await pause(1'200ms);
            const auto one = co_await rows.next();
            CHECK(one.has_value());
        }
        rows.stop();
        auto slow =
            co_await held->stream("SELECT i, repeat('x', 10000), pg_sleep(0.25) FROM generate_series(1, 6) AS i");
        const auto all = co_await numbers_of(slow);  // 1.5 s in all
        CHECK(counts_from_one(all, 6));
        auto stuck = co_await held->stream(
            {.timeout = 500ms}, "SELECT i, repeat('x', 10000), pg_sleep(i / 3 * 60) FROM generate_series(1, 3) AS i");
        std::optional<error> why;
        (void)co_await numbers_of(stuck, &why);
        CHECK((why && why->code() == pool_errc::query_timeout));
        const auto then = co_await value_of(*held, "SELECT 'on'");
        CHECK(then == "on");
        CHECK(lines.stats().query_timeouts == 1);
    });
}

TEST_CASE("TO-12: a stream that is cancelled while it waits tells that, and the connection goes on") {
    run_on(settings_for("stream_cancel"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        for (const bool opening : {true, false}) {
            asio::cancellation_signal stop;
            std::optional<error_code> how;
            const auto body = [&]() -> asio::awaitable<void> {
                how = co_await outcome_of([](connection& on, bool first) -> asio::awaitable<void> {
                    auto rows = co_await on.stream(
                        first ? "SELECT pg_sleep(60)"
                              : "SELECT repeat('x', 10000), pg_sleep(i / 3 * 60) FROM generate_series(1, 3) AS i");
                    while (co_await rows.next()) {
                    }
                }(*held, opening));
            };
            asio::co_spawn(co_await asio::this_coro::executor, body(),
                           asio::bind_cancellation_slot(stop.slot(), asio::detached));
            co_await pause(50ms);
            stop.emit(asio::cancellation_type::terminal);
            const bool in_time = co_await reached([&] { return how.has_value(); });
            REQUIRE(in_time);
            CHECK(*how == asio::error::operation_aborted);
            const auto then = co_await value_of(*held, "SELECT 'on'");
            CHECK(then == "on");
        }
    });
}

TEST_CASE("a session that is killed ends its stream, whether somebody waits or not") {
    const bool waits = GENERATE(true, false);
    run_on(settings_for("stream_killed"), [=](pool& lines) -> asio::awaitable<void> {
        plain_connection observer{fixture::url()};
        auto held = co_await lines.acquire();
        auto rows = co_await held->stream(
            waits ? "SELECT i, repeat('x', 10000), pg_sleep(i / 3 * 60) FROM generate_series(1, 3) AS i" : endless);
        std::optional<error> why;
        const auto kill = [&]() -> asio::awaitable<void> {
            co_await pause(waits ? 50ms : 0ms);
            observer.execute("SELECT pg_terminate_backend(" + std::to_string(held->backend_pid()) + ")");
        };
        asio::co_spawn(co_await asio::this_coro::executor, kill(), asio::detached);
        co_await pause(waits ? 0ms : 100ms);
        (void)co_await numbers_of(rows, &why);
        REQUIRE(why.has_value());
        CHECK(why->code() == errc::connection_lost);
    });
}

TEST_CASE("inside a transaction a stream belongs to it, and a commit waits for its end") {
    auto settings = settings_for("stream_transaction");
    settings.query.timeout = 1s;
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        number_table table{"streamed"};
        auto held = co_await lines.acquire();
        auto tx = co_await held->begin();
        co_await tx.query(table.insert(1));  // the server is told its time
        auto slow = co_await tx.stream("SELECT i, repeat('x', 10000), pg_sleep(0.25) FROM generate_series(1, 6) AS i");
        const auto early = co_await outcome_of(tx.commit());
        CHECK(early == pool_errc::operation_in_progress);
        const auto all = co_await numbers_of(slow);
        CHECK(counts_from_one(all, 6));
        co_await tx.query(table.insert(2));
        co_await tx.commit();
        CHECK(table.rows() == "1 2");
        const auto late = co_await outcome_of(tx.stream("SELECT 1"));
        CHECK(late == pool_errc::transaction_ended);
        {
            auto given_up = co_await held->begin();
            co_await given_up.query(table.insert(3));
        }
        auto behind = co_await held->stream("SELECT count(*)::int FROM " + table.name());
        const auto counted = co_await numbers_of(behind);
        CHECK(counted == std::vector<int>{2});
    });
}

TEST_CASE("COPY is no statement for a stream, and the connection goes on") {
    run_on(settings_for("stream_copy"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int)");
        for (const char* const sql : {"COPY t FROM STDIN", "COPY (SELECT generate_series(1, 1000)) TO STDOUT"}) {
            INFO(sql);
            const auto refused = co_await failure_of(held->stream(sql));
            CHECK(refused.code() == pool_errc::unsupported_statement);
            const auto then = co_await value_of(*held, "SELECT 'on'");
            CHECK(then == "on");
        }
    });
}

TEST_CASE("a statement with a trace parent carries it as a comment, and takes nothing else for one") {
    run_on(settings_for("trace_parent"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const query_options traced{.trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
        const auto seen = co_await held->query(
            traced, "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() -- to the end of the line");
        CHECK(seen[0].get<std::string>(0).ends_with(
            "/*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/"));
        for (const char* const bad :
             {"*/ DROP TABLE t", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00"}) {
            error_code why;
            try {
                (void)co_await held->query({.trace_parent = bad}, "SELECT 1");
            } catch (const error& refused) {
                why = refused.code();
            }
            CHECK(why == pool_errc::invalid_value);
        }
    });
}
