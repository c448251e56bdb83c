#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/plain_libpq.hpp"
#include "support/scripted_server.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace trunkline::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    void operator()(PGresult* result) const noexcept { PQclear(result); }
    void operator()(PGcancel* request) const noexcept { PQfreeCancel(request); }
};
using client = std::unique_ptr<PGconn, finish>;
using reply = std::unique_ptr<PGresult, finish>;

client connected(const scripted_server& to) {
    client made{PQconnectdb(to.url().c_str())};
    INFO(PQerrorMessage(made.get()));
    REQUIRE(PQstatus(made.get()) == CONNECTION_OK);
    PQsetNoticeProcessor(
        made.get(), [](void*, const char*) {}, nullptr);
    return made;
}

std::string state_of(const reply& got) {
    const char* const state = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
    return state == nullptr ? "" : state;
}

std::string refusal_of(const scripted_server& by) {
    const client made{PQconnectdb(by.url().c_str())};
    return PQstatus(made.get()) == CONNECTION_OK ? "" : PQerrorMessage(made.get());
}

/// The next result; nothing stands between two of them.
reply next(const client& of) { return reply{PQgetResult(of.get())}; }

/// Reads what comes until there is nothing more: a close, or a report nobody asked for.
bool comes_true(const client& at, const std::function<bool()>& holds) {
    const auto give_up = steady_clock::now() + 10s;
    while (!holds() && steady_clock::now() < give_up) {
        PQconsumeInput(at.get());
        PQisBusy(at.get());
    }
    return holds();
}

TEST_CASE("the scripted server: libpq logs in, asks, and is told what a PostgreSQL would say") {
    scripted_server server;
    {
        plain_connection on{server.url()};
        CHECK(on.scalar("SELECT 1") == "1");
        server.answer_with(answer{.rows = {{"a", std::nullopt}, {"b", "c"}}});
        const auto rows = on.execute("SELECT x, y");
        CHECK(rows == plain_connection::rows{{"a", ""}, {"b", "c"}});
        server.answer_with(no_rows());
        CHECK(on.execute("SELECT 3").empty());
        CHECK(on.backend_pid() == server.session(0).key.pid);
    }
    REQUIRE(server.wait_for([&] { return server.count().open == 0; }));
    const auto seen = server.session(0);
    CHECK(seen.login.at("user") == "user");
    CHECK(seen.login.at("database") == "db");
    CHECK(seen.texts() == std::vector<std::string>{"SELECT 1", "SELECT x, y", "SELECT 3"});
    CHECK(seen.statements.back().flight == 3);
    CHECK(seen.ready);
    CHECK(seen.goodbye);
}

TEST_CASE("the scripted server: TLS and GSS are declined, and the login goes on") {
    const scripted_server server;
    const client made{
        PQconnectdb(("host=127.0.0.1 sslmode=prefer user=u port=" + std::to_string(server.port())).c_str())};
    CHECK(PQstatus(made.get()) == CONNECTION_OK);
    CHECK(PQparameterStatus(made.get(), "client_encoding") == std::string{"UTF8"});
    CHECK(PQserverVersion(made.get()) == 150'000);
    CHECK(server.count().accepted == 1);
}

TEST_CASE("the scripted server: a standby says so in its handshake") {
    scripted_server server;
    server.greet_next({.parameters = {{"in_hot_standby", "on"}}});
    const client first{PQconnectdb((server.url() + "&target_session_attrs=primary").c_str())};
    CHECK(PQstatus(first.get()) == CONNECTION_BAD);
    const client second{PQconnectdb((server.url() + "&target_session_attrs=primary").c_str())};
    CHECK(PQstatus(second.get()) == CONNECTION_OK);
}

TEST_CASE("the scripted server: parameters come in, and rows go out in the form that was asked for") {
    scripted_server server;
    server.answer_with(one_row(-7));
    const auto on = connected(server);
    const char* const values[] = {"x", nullptr};
    for (const int format : {0, 1}) {
        const reply got{PQexecParams(on.get(), "SELECT $1, $2", 2, nullptr, values, nullptr, nullptr, format)};
        REQUIRE(PQresultStatus(got.get()) == PGRES_TUPLES_OK);
        CHECK(PQftype(got.get(), 0) == 23);
        CHECK(std::string(PQgetvalue(got.get(), 0, 0), static_cast<std::size_t>(PQgetlength(got.get(), 0, 0))) ==
              (format == 0 ? "-7" : "\xFF\xFF\xFF\xF9"));
    }
    const auto seen = server.session(0);
    CHECK(seen.statements.at(0).text == "SELECT $1, $2");
    CHECK(seen.statements.at(0).values == std::vector<wire::cell>{"x", std::nullopt});
    CHECK_FALSE(seen.statements.at(0).simple);
}

TEST_CASE("the scripted server: a prepared statement is recorded each time it is executed") {
    scripted_server server;
    const auto on = connected(server);
    const reply prepared{PQprepare(on.get(), "mine", "SELECT 5", 0, nullptr)};
    CHECK(PQresultStatus(prepared.get()) == PGRES_COMMAND_OK);
    for (int i = 0; i < 2; ++i) {
        const reply got{PQexecPrepared(on.get(), "mine", 0, nullptr, nullptr, nullptr, 0)};
        CHECK(PQresultStatus(got.get()) == PGRES_TUPLES_OK);
    }
    CHECK(server.session(0).texts() == std::vector<std::string>{"SELECT 5", "SELECT 5"});
}

TEST_CASE("the scripted server: an error is one answer, and the session goes on; in a transaction it shows") {
    scripted_server server;
    server.answer_with(
        [](const received_statement& what) { return what.text == "bad" ? fails("23505", "twice") : done(); });
    const auto on = connected(server);
    const auto run = [&](const char* sql) { return reply{PQexec(on.get(), sql)}; };
    CHECK(state_of(run("bad")) == "23505");
    CHECK(PQtransactionStatus(on.get()) == PQTRANS_IDLE);
    run("BEGIN");
    CHECK(PQtransactionStatus(on.get()) == PQTRANS_INTRANS);
    const reply failed{PQexecParams(on.get(), "bad", 0, nullptr, nullptr, nullptr, nullptr, 1)};
    CHECK(state_of(failed) == "23505");
    CHECK(PQtransactionStatus(on.get()) == PQTRANS_INERROR);
    CHECK(std::string{PQcmdStatus(run("ROLLBACK").get())} == "ROLLBACK");
    CHECK(PQtransactionStatus(on.get()) == PQTRANS_IDLE);
    CHECK(server.count().statements == 4);
}

TEST_CASE("the scripted server: pipelined statements are answered in order, each to its own Sync, and are one flight") {
    scripted_server server;
    server.answer_with([](const received_statement& what) {
        return what.text == "bad" ? fails("22012", "no") : one_row(static_cast<int>(what.text.size()));
    });
    const auto on = connected(server);
    server.hold_answers();
    REQUIRE(PQenterPipelineMode(on.get()) == 1);
    for (const char* sql : {"a", "bad", "ccc"}) {
        PQsendQueryParams(on.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0);
        PQpipelineSync(on.get());
    }
    CHECK(server.wait_for([&] { return server.count().statements == 3; }));
    server.release_answers();
    std::vector<std::string> said;
    for (int i = 0; i < 3; ++i) {
        const auto got = next(on);
        said.push_back(PQresultStatus(got.get()) == PGRES_TUPLES_OK ? PQgetvalue(got.get(), 0, 0) : state_of(got));
        CHECK_FALSE(next(on));
        CHECK(PQresultStatus(next(on).get()) == PGRES_PIPELINE_SYNC);
    }
    CHECK(said == std::vector<std::string>{"1", "22012", "3"});
    for (const auto& one : server.session(0).statements) {
        CHECK(one.flight == 1);
    }
    REQUIRE(PQexitPipelineMode(on.get()) == 1);
    const reply later{PQexec(on.get(), "SELECT 1")};
    CHECK(server.session(0).statements.back().flight == 2);
}

TEST_CASE("the scripted server: each refusal has its code and its words, and ends the connection") {
    scripted_server server;
    for (const std::string code : {"53300", "57P03", "28P01", "28000", "3D000", "57P01"}) {
        server.greet_next(refuses(code, "no to " + code));
        CHECK_THAT(refusal_of(server), has_text("FATAL:  no to " + code));
    }
    CHECK(server.count().sessions == 6);
    CHECK(server.count().ready == 0);
    CHECK(server.wait_for([&] { return server.count().open == 0; }));
    server.greet_next(sends("HTTP/1.1 400 Bad Request\r\n\r\n", afterwards::close));
    CHECK_THAT(refusal_of(server), has_text("expected authentication request from server, but received H"));
    CHECK(refusal_of(server).empty());
}

TEST_CASE("the scripted server: an answer can be late, cut, garbage, or none") {
    scripted_server server;
    const auto on = connected(server);
    SECTION("late") {
        server.answer_with(answer{.delay = 50ms});
        const auto begin = steady_clock::now();
        const reply got{PQexec(on.get(), "SET x")};
        CHECK(PQresultStatus(got.get()) == PGRES_COMMAND_OK);
        CHECK(steady_clock::now() - begin >= 50ms);
    }
    SECTION("the connection is gone instead") {
        for (const auto how : {afterwards::close, afterwards::reset}) {
            server.answer_with(sends_back("", how));
            const auto other = connected(server);
            const reply got{PQexec(other.get(), "COMMIT")};
            CHECK(PQresultStatus(got.get()) == PGRES_FATAL_ERROR);
            CHECK(PQstatus(other.get()) == CONNECTION_BAD);
        }
    }
    SECTION("the answer comes, and the connection is gone before it is ready again") {
        server.answer_with(answer{.rows = {{"1"}}, .then = afterwards::close});
        PQsendQuery(on.get(), "SELECT 1");
        CHECK(PQresultStatus(next(on).get()) == PGRES_TUPLES_OK);
        CHECK(PQresultStatus(next(on).get()) == PGRES_FATAL_ERROR);
    }
    SECTION("garbage") {
        server.answer_with(sends_back("?????????", afterwards::close));
        const reply got{PQexec(on.get(), "SELECT 1")};
        CHECK(PQresultStatus(got.get()) == PGRES_FATAL_ERROR);
    }
    SECTION("a FATAL ends the session") {
        server.answer_with(fails("57P01", "terminating", "FATAL"));
        PQsendQuery(on.get(), "SELECT 1");
        CHECK(state_of(next(on)) == "57P01");
        CHECK(server.wait_for([&] { return server.count().open == 0; }));
    }
    SECTION("never") {
        server.answer_with(never());
        PQsendQuery(on.get(), "SELECT 1");
        CHECK(server.wait_for([&] { return server.count().statements == 1; }));
        PQconsumeInput(on.get());
        CHECK(PQisBusy(on.get()) == 1);
        CHECK(server.count().open == 1);
    }
}

TEST_CASE("the scripted server: a cancel request is counted, is no session, and ends what waits for it") {
    scripted_server server;
    server.answer_with(runs_until_cancelled());
    const auto on = connected(server);
    PQsendQuery(on.get(), "SELECT pg_sleep(60)");
    REQUIRE(server.wait_for([&] { return server.count().statements == 1; }));
    const std::unique_ptr<PGcancel, finish> request{PQgetCancel(on.get())};
    char why[256];
    CHECK(PQcancel(request.get(), why, sizeof(why)) == 1);
    CHECK(state_of(next(on)) == "57014");
    REQUIRE(server.cancels().size() == 1);
    CHECK(server.cancels().front().key == server.session(0).key);
    CHECK(server.count().accepted == 2);
    CHECK(server.count().sessions == 1);
    CHECK(server.count().most_open == 1);
}

TEST_CASE("the scripted server: what nobody asked for arrives, and connections end on command") {
    scripted_server server;
    const auto on = connected(server);
    const auto other = connected(server);
    CHECK(server.push(wire::parameter_status("in_hot_standby", "on")) == 2);
    CHECK(comes_true(on, [&] { return PQparameterStatus(on.get(), "in_hot_standby") == std::string{"on"}; }));
    CHECK(server.push(1, wire::notice_response({"WARNING", "01000", "mind"})) == 1);
    CHECK(server.push(1, wire::error_response({"FATAL", "57P05", "idle too long"})) == 1);
    CHECK(server.end(1, afterwards::close) == 1);
    CHECK(comes_true(other, [&] { return PQstatus(other.get()) == CONNECTION_BAD; }));
    CHECK(server.count().open == 1);
    CHECK(server.end(afterwards::reset) == 1);
    CHECK(comes_true(on, [&] { return PQstatus(on.get()) == CONNECTION_BAD; }));
    CHECK(server.count().open == 0);
    CHECK(server.count().connections == 0);
}

TEST_CASE("the scripted server: highest numbers at once are kept, and a server that does not listen refuses") {
    scripted_server server;
    {
        const auto first = connected(server);
        const auto second = connected(server);
    }
    CHECK(server.wait_for([&] { return server.count().open == 0; }));
    CHECK(server.count().most_open == 2);
    CHECK(server.count().most_handshakes == 1);
    CHECK(server.accepts().size() == 2);
    const auto kept = connected(server);
    server.stop_listening();
    CHECK_THAT(refusal_of(server), has_text("Connection refused"));
    CHECK(PQresultStatus(reply{PQexec(kept.get(), "SELECT 1")}.get()) == PGRES_TUPLES_OK);
    server.listen();
    CHECK(refusal_of(server).empty());
}

}  // namespace
