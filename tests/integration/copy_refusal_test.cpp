#include "transaction_fixture.hpp"

#include <trunkline/sqlstate.hpp>

#include <optional>
#include <utility>

// Data that the server refuses.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 1});
}

error_code code_of_state(std::string_view state) { return {sqlstate_value(state), sqlstate_category()}; }

asio::awaitable<std::string> rows_of_t(connection& on) {
    return value_of(on, "SELECT coalesce(string_agg(t::text, ' ' ORDER BY i), '') FROM t");
}

/// Holds this thread, and the pool with it, until the server has said all: a COPY that it has refused is over there. A
/// thousand looks at most, for a part of the data may not have left.
void wait_until_refused(int backend_pid, const std::string& url) {
    plain_connection observer{url};
    const auto sql = "SELECT state FROM pg_stat_activity WHERE pid = " + std::to_string(backend_pid);
    for (int looks = 0; looks < 1'000 && observer.scalar(sql) == "active"; ++looks) {
    }
}

}  // namespace

TEST_CASE("data that the server refuses is an error that names its place, soon, and the connection goes on") {
    run_on(settings_for("copy_refused"), [](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int PRIMARY KEY, s text)");
        const auto text = co_await failure_of(load(*held, "COPY t FROM STDIN", "1\ta\nsecret\tb\n"));
        CHECK(text.sqlstate() == "22P02");
        CHECK(text.detail() == "COPY t, line 2, column i");
        CHECK(text.statement() == "COPY t FROM STDIN");
        const auto key = co_await failure_of(load(*held, "COPY t FROM STDIN", "1\ta\n1\tb\n"));
        CHECK(key.code() == sqlstate::unique_violation);
        CHECK(key.detail() == "Key (i)=(1) already exists.; COPY t, line 2");
        const auto header = co_await failure_of(load(*held, "COPY t FROM STDIN (FORMAT binary)", "no header"));
        CHECK(header.sqlstate() == "22P04");

        // A server that has refused the first row hears of not much more, unless libpq reads that in the wrong moment.
        const std::string rows = "x\tx\n" + std::string(100'000, 'y') + "\n";
        int soon = 0;
        for (int round = 0; round < 10; ++round) {
            auto to = co_await held->copy_in("COPY t FROM STDIN");
            error_code why;
            for (int written = 0; !why && written < 1'000; ++written) {
                why = co_await outcome_of(to.write(rows));
            }
            soon += why.failed() ? 1 : 0;
            const auto again = co_await outcome_of(to.finish());
            CHECK(again == code_of_state("22P02"));
        }
        CHECK(soon > 0);
        const auto stored = co_await rows_of_t(*held);
        CHECK(stored.empty());
        CHECK(lines.stats().opened == 1);
    });
}

TEST_CASE("a refusal that comes together with notices is told soon, too") {
    const int good = GENERATE(1, 10, 300);
    auto settings = settings_for("copy_notices");
    if (GENERATE(false, true)) {
        static const postgres_server encrypted{{.tls = true}};
        settings.connect.url = encrypted.url() + "?sslmode=require";
    }
    run_on(settings, [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("CREATE TEMP TABLE t (i int, s text)");
        co_await held->query("CREATE FUNCTION pg_temp.speak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                             "IF NEW.i = 0 THEN RAISE 'refused'; END IF; RAISE NOTICE '%', NEW.i; RETURN NEW; "
                             "END $$");
        co_await held->query("CREATE TRIGGER speaks BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.speak()");
        std::string rows;
        for (int i = good; i >= 0; --i) {
            rows += std::to_string(i) + "\t" + std::string(200'000 / static_cast<std::size_t>(good), 'x') + "\n";
        }
        int soon = 0;
        for (int round = 0; round < 10 && soon == 0; ++round) {
            auto to = co_await held->copy_in("COPY t FROM STDIN");
            error_code why;
            for (int written = 0; !why && written < 1'000; ++written) {
                why = co_await outcome_of(to.write(rows));
                if (written == 0) {
                    wait_until_refused(held->backend_pid(), settings.connect.url);
                }
                co_await asio::post(asio::use_awaitable);
            }
            soon += why.failed() ? 1 : 0;
            const auto again = co_await outcome_of(to.finish());
            CHECK(again == code_of_state("P0001"));
        }
        CHECK(soon > 0);
        const auto stored = co_await rows_of_t(*held);
        CHECK(stored.empty());
        CHECK(lines.stats().opened == 1);
    });
}
