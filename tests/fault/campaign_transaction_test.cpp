#include "campaign.hpp"
#include "struck_stage.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Sessions that end amid transactions, and what a table of the server's says of their statements.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::microseconds;
using std::chrono::steady_clock;

namespace {

constexpr int statements = 5;

struct attempt : struck_operation {
    int runs = 0;  // of its body
};
using attempt_ptr = std::shared_ptr<attempt>;

struct stage : struck_stage {
    stage() : struck_stage{"struck"} {
        // A COMMIT takes long enough to be struck now and then.
        observer.execute("DROP TABLE IF EXISTS struck; CREATE TABLE struck (round int, number int, pid int);"
                         "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                         "PERFORM pg_sleep(0.002); RETURN NULL; END $$;"
                         "CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON struck DEFERRABLE INITIALLY DEFERRED "
                         "FOR EACH ROW WHEN (NEW.number = 0) EXECUTE FUNCTION dawdle()");
    }
};

asio::awaitable<void> insert_all(transaction& tx, int round) {
    for (int number = 0; number < statements; ++number) {
        co_await tx.execute("INSERT INTO struck SELECT $1, $2, pg_backend_pid() FROM pg_sleep(0.001)", round, number);
    }
}

asio::awaitable<void> by_guard(stage& on, attempt_ptr one) {
    auto lease = co_await on.lines.acquire();
    one->pid = lease->backend_pid();
    ++one->runs;
    asio::co_spawn(on.context, strike(on, one), asio::detached);
    auto tx = co_await lease->begin();
    co_await insert_all(tx, one->round);
    co_await tx.commit();
}

asio::awaitable<void> by_body(stage& on, attempt_ptr one) {
    const auto body = [&](transaction& tx) -> asio::awaitable<void> {
        one->pid = tx.connection().backend_pid();
        ++one->runs;
        asio::co_spawn(on.context, strike(on, one), asio::detached);
        co_await insert_all(tx, one->round);
    };
    co_await on.lines.transaction(body);
}

asio::awaitable<void> attempt_it(stage& on, attempt_ptr one) {
    try {
        if (one->round % 2 == 0) {
            co_await by_guard(on, one);
        } else {
            co_await by_body(on, one);
        }
    } catch (const boost::system::system_error& failure) {
        one->how = failure.code();
    }
    one->settled = steady_clock::now();
}

/// What the rounds have shown.
struct findings {
    campaign::sample settling;  // from the blow until the call that was under way had ended
    std::size_t wrong = 0;
    std::size_t committed = 0;
    std::size_t unknown_there = 0;
    std::size_t unknown_gone = 0;
    std::size_t failed = 0;
    std::size_t quicker = 0;  // than the blow

    /// Holds what the caller was told against the rows.
    void judge(const attempt& one, plain_connection& observer) {
        const auto rows = observer.execute("SELECT pid FROM struck WHERE round = " + std::to_string(one.round));
        const bool all = rows.size() == statements;
        const bool none = rows.empty();
        std::vector<std::string> words;
        if (!all && !none) {
            words.emplace_back("only a part is there");
        }
        for (const auto& row : rows) {
            if (row[0] != std::to_string(one.pid)) {
                words.emplace_back("a statement ran on the session " + row[0]);
            }
        }
        if (one.runs != 1) {
            words.emplace_back("it ran " + std::to_string(one.runs) + " times");
        }
        if (!one.how) {
            ++committed;
            if (!all) {
                words.emplace_back("it succeeded and is not there");
            }
        } else if (one.how == pool_errc::commit_unknown) {
            ++(all ? unknown_there : unknown_gone);
        } else {
            ++failed;
            if (!none) {
                words.emplace_back("it failed and is there");
            }
            if (one.how != errc::connection_lost) {
                words.emplace_back("no lost connection was told");
            }
        }
        for (const auto& each : words) {
            ++wrong;
            WARN("round " << one.round << " on " << one.pid << " with " << one.how.message() << ": " << each);
        }
    }

    void time(const attempt& one) {
        if (*one.settled > *one.struck) {
            settling.add(*one.settled - *one.struck);
        } else {
            ++quicker;
        }
    }
};

}  // namespace

TEST_CASE("HY-10: a session that ends amid a transaction ends the call under way, whole and on no other session") {
    const int rounds = campaign::scaled(1'000, 20);
    stage on;
    findings seen;
    std::mt19937 dice{23};
    const auto drawn = [&](int below) { return std::uniform_int_distribution<int>{0, below - 1}(dice); };
    int range = 12'000;  // it follows what the machine takes, so that few are quicker than the blow
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        for (int round = 0; round < rounds; ++round) {
            const bool calm = co_await on.is_calm();
            CHECK(calm);
            const auto one = std::make_shared<attempt>();
            one->round = round;
            one->with = round % 4 != 3 ? blow::kill : drawn(2) == 0 ? blow::close : blow::reset;
            one->after = microseconds{drawn(range)};
            asio::co_spawn(on.context, attempt_it(on, one), asio::detached);
            const bool settled = co_await reached([&] { return one->settled && one->struck; });
            CHECK(settled);
            if (!calm || !settled) {
                break;
            }
            const bool gone = co_await reached([&] { return !on.has_session(one->pid); });
            CHECK(gone);  // until then it may still commit
            seen.judge(*one, on.observer);
            seen.time(*one);
            range = one->how ? range * 21 / 20 : std::max(range * 4 / 5, 1'000);
        }
        co_await on.lines.close(10s);
    });
    WARN(rounds << " transactions: " << seen.failed << " failed, " << seen.committed << " were committed, of "
                << seen.unknown_there + seen.unknown_gone << " nobody was told, " << seen.unknown_there
                << " of which were; " << seen.quicker << " were quicker than the end of their session");
    CHECK(seen.wrong == 0);
    if (seen.settling.size() > 0) {
        WARN("the call under way ended after " << seen.settling);
        CHECK(seen.settling.quantile(0.99) <= (campaign::full() ? 100ms : 10'000ms));
    }
    if (campaign::full()) {
        CHECK(seen.settling.size() > 0);
        CHECK(seen.failed > 0);
        CHECK(seen.committed > 0);
        CHECK(seen.unknown_there > 0);
        CHECK(seen.unknown_gone > 0);
    }
}
