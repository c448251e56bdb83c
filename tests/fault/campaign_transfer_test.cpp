#include "campaign.hpp"
#include "struck_stage.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// Sessions that end amid COPYs and streams, and what a table of the server's says of those that went in.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::microseconds;

namespace {

constexpr std::int64_t rows_in = 4'000;
constexpr std::int64_t rows_out = 20'000;

enum class way : unsigned char { copy_in, copy_out, stream };
constexpr std::size_t ways = 3;

struct attempt : struck_operation {
    way kind = way::copy_in;
    bool finishing = false;     // `finish()` has been called
    std::uint64_t stored = 0;   // what it said
    std::int64_t received = 0;  // rows that came out, each the next one and whole
    bool out_of_order = false;
};
using attempt_ptr = std::shared_ptr<attempt>;

struct stage : struck_stage {
    stage() : struck_stage{"transferred"} {
        // The end of a COPY takes long enough to be struck now and then.
        observer.execute(
            "DROP TABLE IF EXISTS transferred;"
            "CREATE TABLE transferred (round int, number int, text text, pid int DEFAULT pg_backend_pid());"
            "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_sleep(0.002); RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON transferred DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW WHEN (NEW.number = 0) EXECUTE FUNCTION dawdle()");
    }
};

asio::awaitable<void> write_all(connection& on, attempt_ptr one) {
    auto to = co_await on.copy_in("COPY transferred (round, number, text) FROM STDIN");
    const std::string round = std::to_string(one->round) + "\t";
    const std::string text = "\t" + std::string(100, 'x') + "\n";
    for (std::int64_t number = 0; number < rows_in; ++number) {
        const auto line = round + std::to_string(number) + text;
        co_await to.write(line);
    }
    one->finishing = true;
    one->stored = co_await to.finish();
}

std::string rows_that_come() {
    return "SELECT i, repeat('x', 100) FROM (SELECT generate_series(1::bigint, " + std::to_string(rows_out) +
           ") AS i) AS numbers";
}

void receive(attempt& into, std::int64_t number, std::size_t length) {
    ++into.received;
    into.out_of_order = into.out_of_order || number != into.received || length != 100;
}

asio::awaitable<void> read_copy(connection& on, attempt_ptr one) {
    auto from = co_await on.copy_out("COPY (" + rows_that_come() + ") TO STDOUT");
    while (const auto line = co_await from.next()) {
        std::int64_t number = 0;
        const auto read = std::from_chars(line->data(), line->data() + line->size(), number);
        const auto before = static_cast<std::size_t>(read.ptr - line->data()) + 1;
        receive(*one, number, line->size() > before && line->back() == '\n' ? line->size() - before - 1 : 0);
    }
}

asio::awaitable<void> read_stream(connection& on, attempt_ptr one) {
    auto from = co_await on.stream(rows_that_come());
    while (const auto row = co_await from.next()) {
        receive(*one, row->get<std::int64_t>(0), row->get<std::string_view>(1).size());
    }
}

asio::awaitable<void> attempt_it(stage& on, attempt_ptr one) {
    try {
        auto lease = co_await on.lines.acquire();
        one->pid = lease->backend_pid();
        asio::co_spawn(on.context, strike(on, one), asio::detached);
        switch (one->kind) {
        case way::copy_in: co_await write_all(*lease, one); break;
        case way::copy_out: co_await read_copy(*lease, one); break;
        case way::stream: co_await read_stream(*lease, one); break;
        }
    } catch (const boost::system::system_error& failure) {
        one->how = failure.code();
    }
    one->settled = std::chrono::steady_clock::now();
}

/// What the rounds have shown.
struct findings {
    campaign::sample settling;  // from the blow until the call that was under way had ended
    std::size_t wrong = 0;
    std::size_t succeeded = 0;
    std::size_t cut[ways] = {};
    std::size_t unknown_there = 0;
    std::size_t unknown_gone = 0;
    std::size_t quicker = 0;  // than the blow

    /// Holds what the caller was told against what there is.
    void judge(const attempt& one, plain_connection& observer) {
        std::vector<std::string> words;
        if (!one.how) {
            ++succeeded;
        } else {
            ++cut[static_cast<std::size_t>(one.kind)];
            if (one.how != errc::connection_lost) {
                words.emplace_back("no lost connection was told");
            }
        }
        if (one.kind == way::copy_in) {
            judge_rows(one, observer, words);
        } else {
            if (one.out_of_order) {
                words.emplace_back("a row came that is not whole, or not the next one");
            }
            if (!one.how && one.received != rows_out) {
                words.emplace_back("it ended well after " + std::to_string(one.received) + " rows");
            }
        }
        for (const auto& each : words) {
            ++wrong;
            WARN("round " << one.round << ", way " << static_cast<int>(one.kind) << ", on " << one.pid << " with "
                          << one.how.message() << ": " << each);
        }
    }

    void judge_rows(const attempt& one, plain_connection& observer, std::vector<std::string>& words) {
        const auto found = observer.execute("SELECT count(*), count(DISTINCT number), count(*) FILTER (WHERE pid <> " +
                                            std::to_string(one.pid) +
                                            ") FROM transferred WHERE round = " + std::to_string(one.round))[0];
        const bool all = found[0] == std::to_string(rows_in) && found[1] == found[0];
        const bool none = found[0] == "0";
        if (found[2] != "0") {
            words.emplace_back(found[2] + " rows were written by another session");
        }
        if (!all && !none) {
            words.emplace_back("only a part is there: " + found[0] + " rows");
        }
        if (!one.how && (!all || one.stored != rows_in)) {
            words.emplace_back("it succeeded with " + std::to_string(one.stored) + " rows, and is not there");
        }
        if (one.how && !one.finishing && !none) {
            words.emplace_back("its end was never told to the server, and it is there");
        }
        if (one.how && one.finishing) {
            ++(all ? unknown_there : unknown_gone);
        }
    }

    void time(const attempt& one) {
        if (*one.settled > *one.struck) {
            settling.add(*one.settled - *one.struck);
        } else {
            ++quicker;
        }
    }

    void report(int rounds) const {
        WARN(rounds << " COPYs and streams: " << cut[0] << " in, " << cut[1] << " out and " << cut[2]
                    << " streams failed, " << succeeded << " succeeded; of " << unknown_there + unknown_gone
                    << " whose end was under way nobody was told, " << unknown_there << " of which are there; "
                    << quicker << " were quicker than the end of their session");
        if (settling.size() > 0) {
            WARN("the call under way ended after " << settling);
        }
    }
};

}  // namespace

TEST_CASE(
    "a session that ends amid a COPY or a stream ends the call under way, and what went in is whole or not there") {
    const int rounds = campaign::scaled(1'000, 20);
    stage on;
    findings seen;
    std::mt19937 dice{29};
    const auto drawn = [&](int below) { return std::uniform_int_distribution<int>{0, below - 1}(dice); };
    int range[ways] = {12'000, 12'000, 12'000};  // it follows what the machine takes: few are quicker than the blow
    run(on.context, [&]() -> asio::awaitable<void> {
        co_await on.lines.start();
        for (int round = 0; round < rounds; ++round) {
            const bool calm = co_await on.is_calm();
            CHECK(calm);
            const auto one = std::make_shared<attempt>();
            one->round = round;
            one->kind = static_cast<way>(drawn(ways));
            one->with = round % 2 == 0 ? blow::kill : drawn(2) == 0 ? blow::close : blow::reset;
            int& within = range[static_cast<std::size_t>(one->kind)];
            one->after = microseconds{drawn(within)};
            asio::co_spawn(on.context, attempt_it(on, one), asio::detached);
            const bool settled = co_await reached([&] { return one->settled && one->struck; });
            CHECK(settled);
            if (!calm || !settled) {
                break;
            }
            const bool gone = co_await reached([&] { return !on.has_session(one->pid); });
            CHECK(gone);  // until then it may still store what it has got
            seen.judge(*one, on.observer);
            seen.time(*one);
            within = one->how ? within * 21 / 20 : std::max(within * 4 / 5, 1'000);
        }
        co_await on.lines.close(10s);
    });
    seen.report(rounds);
    CHECK(seen.wrong == 0);
    if (seen.settling.size() > 0) {
        CHECK(seen.settling.quantile(0.99) <= (campaign::full() ? 100ms : 10'000ms));
    }
    if (campaign::full()) {
        CHECK(seen.settling.size() > 0);
        CHECK(seen.succeeded > 0);
        CHECK(std::ranges::all_of(seen.cut, [](std::size_t count) { return count > 0; }));
        CHECK(seen.unknown_there > 0);
        CHECK(seen.unknown_gone > 0);
    }
}
