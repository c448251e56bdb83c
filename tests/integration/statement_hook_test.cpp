#include "transaction_fixture.hpp"

#include <trunkline/sqlstate.hpp>
#include <trunkline/statement_report.hpp>

#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

// What the program is told of its statements.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

struct told {
    statement_kind kind;
    std::string statement;
    std::string trace_parent;
    int backend_pid;
    std::chrono::nanoseconds took, waited;
    std::uint64_t rows;
    error_code code;
    std::string message;
};

/// Keeps what it hears.
class diary {
public:
    [[nodiscard]] pool_hooks hooks() {
        pool_hooks all;
        all.on_statement = [this](const statement_report& one) {
            const std::lock_guard lock{mutex_};
            all_.push_back({one.kind, std::string{one.statement}, std::string{one.trace_parent}, one.backend_pid,
                            one.took, one.waited, one.rows, one.code, one.said.message});
        };
        return all;
    }
    [[nodiscard]] std::vector<told> take() {
        const std::lock_guard lock{mutex_};
        return std::exchange(all_, {});
    }

private:
    std::mutex mutex_;
    std::vector<told> all_;
};

}  // namespace

TEST_CASE(
    "OB-10: each statement is reported once, with its text, time, rows and error, and nothing of the pool's own") {
    diary heard;
    auto settings = fixture::settings("reported", {.min = 1, .max = 1});
    settings.reset.mode = reset_mode::always;
    const auto body = [&](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        co_await held->query("SELECT generate_series(1, $1)", 3);
        (void)co_await outcome_of(held->query("SELECT nonsense"));
        (void)co_await outcome_of(held->query({.timeout = 50ms}, "SELECT pg_sleep(60)"));
        (void)co_await outcome_of(held->query(std::string_view{"\0", 1}));
        auto all = heard.take();
        REQUIRE(all.size() == 4);
        CHECK(all[0].kind == statement_kind::query);
        CHECK(all[0].statement == "SELECT generate_series(1, $1)");
        CHECK(all[0].backend_pid == pid);
        CHECK(all[0].rows == 3);
        CHECK(!all[0].code);
        CHECK(all[1].code == sqlstate::undefined_column);
        CHECK(all[1].message == "column \"nonsense\" does not exist");
        CHECK(all[2].code == pool_errc::query_timeout);
        CHECK(all[2].took >= 50ms);
        CHECK(all[2].waited < all[2].took);
        CHECK(all[3].code == pool_errc::invalid_text);

        auto tx = co_await held->begin();
        co_await tx.query("SELECT 1");
        co_await tx.commit();
        all = heard.take();
        REQUIRE(all.size() == 3);
        CHECK(all[0].statement == "BEGIN");
        CHECK(all[2].statement == "COMMIT");
        held.release();
        co_await lines.query("SELECT 2");  // behind a reset
        all = heard.take();
        REQUIRE(all.size() == 1);
        CHECK(all[0].statement == "SELECT 2");

        const query_options traced{.timeout = 5s,
                                   .trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
        const auto touched = co_await lines.execute(traced, "SELECT generate_series(1, $1)", 7);
        CHECK(touched == 7);
        all = heard.take();
        REQUIRE(all.size() == 1);
        CHECK(all[0].statement == "SELECT generate_series(1, $1)");
        CHECK(all[0].trace_parent == traced.trace_parent);
        pipeline both;
        both.add("SELECT 3").add("SELECT 4");
        const auto results = co_await lines.run(both);
        CHECK(results.size() == 2);
        CHECK(heard.take().size() == 2);
    };
    run_on(settings, body, heard.hooks());
    CHECK(heard.take().empty());
}

TEST_CASE("OB-10: of pipelines each statement is reported, and of streams and COPY their end") {
    diary heard;
    const auto body = [&](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        pipeline statements;
        statements.add("SELECT 1").add("SELECT nonsense").add("SELECT generate_series(1, 5)");
        (void)co_await held->try_run(statements);
        auto all = heard.take();
        REQUIRE(all.size() == 3);
        CHECK(all[1].kind == statement_kind::pipelined);
        CHECK(all[1].statement == "SELECT nonsense");
        CHECK(all[1].code == sqlstate::undefined_column);
        CHECK((!all[2].code && all[2].rows == 5));

        auto rows = co_await held->stream("SELECT generate_series(1, 100)");
        while (co_await rows.next()) {
        }
        rows = co_await held->stream("SELECT generate_series(1, 100000000)");
        (void)co_await rows.next();
        CHECK(heard.take().size() == 1);
        rows.stop();
        all = heard.take();
        REQUIRE(all.size() == 1);
        CHECK(all[0].kind == statement_kind::stream);
        CHECK((all[0].rows == 1 && all[0].code == asio::error::operation_aborted));
        (void)co_await outcome_of(held->stream("SELECT nonsense"));
        all = heard.take();
        REQUIRE(all.size() == 1);
        CHECK(all[0].code == sqlstate::undefined_column);

        co_await held->query("CREATE TEMP TABLE t (i int)");
        auto to = co_await held->copy_in("COPY t FROM STDIN");
        co_await to.write("1\n2\n");
        (void)co_await to.finish();
        auto from = co_await held->copy_out("COPY t TO STDOUT");
        while (co_await from.next()) {
        }
        all = heard.take();
        REQUIRE(all.size() == 3);
        CHECK((all[1].kind == statement_kind::copy_in && all[1].rows == 2 && !all[1].code));
        CHECK((all[2].kind == statement_kind::copy_out && all[2].rows == 2));
    };
    run_on(fixture::settings("reported_parts", {.min = 0, .max = 1}), body, heard.hooks());
}

TEST_CASE("OB-10: a hook that throws harms no statement, and is logged") {
    std::vector<std::string> lines_of_log;
    pool_hooks hooks;
    hooks.log = [&](const log_record& one) { lines_of_log.emplace_back(one.message); };
    hooks.on_statement = [](const statement_report&) { throw std::runtime_error{"the hook's"}; };
    const auto body = [&](pool& lines) -> asio::awaitable<void> {
        const auto got = co_await lines.query("SELECT 1");
        CHECK(got.size() == 1);
    };
    run_on(fixture::settings("reported_badly", {.min = 0, .max = 1}), body, hooks);
    CHECK(std::ranges::any_of(lines_of_log, [](const auto& line) {
        return line.find("on_statement hook threw: the hook's") != std::string::npos;
    }));
}
