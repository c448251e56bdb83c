#include "campaign.hpp"

#include <boost/asio.hpp>

#include <random>

// Callers who give up around the moment in which a connection is handed to them.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t slots = 8;
constexpr std::size_t players = 64;

/// Counted by the callers themselves.
struct score {
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> twice{0};
    std::atomic<std::uint64_t> given_up{0};  // cancelled before the end was told
    std::atomic<std::uint64_t> granted{0};
    std::atomic<std::uint64_t> granted_all_the_same{0};  // given up, and granted
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<std::uint64_t> otherwise{0};
    std::atomic<std::size_t> playing{0};
    std::atomic<std::uint64_t> unbalanced{0};  // moments in which the pool's places did not add up
    std::size_t lent_at_once = 0;
    std::size_t sessions = 0;
    std::uint64_t wanted = 0;
};

struct attempt {
    asio::cancellation_signal cancel;
    int ends = 0;
    bool given_up = false;
    lease mine;
};

void on_end(score& seen, attempt& what, const error_code& code, lease mine) {
    ++seen.ended;
    if (++what.ends > 1) {
        ++seen.twice;
    }
    if (!code) {
        ++seen.granted;
        seen.granted_all_the_same += what.given_up ? 1 : 0;
        what.mine = std::move(mine);
    } else if (code == asio::error::operation_aborted) {
        ++seen.cancelled;
    } else {
        ++seen.otherwise;
    }
}

/// One caller, on a strand of its own: asks, and most times gives up a random moment later.
template <typename Executor>
asio::awaitable<void> play(pool& from, score& seen, Executor mine, std::uint64_t seed) {
    std::mt19937_64 dice{seed};
    const auto pause = [&](std::uint64_t most) { return dice() % (most + 1); };
    while (seen.given_up < seen.wanted) {
        const auto what = std::make_shared<attempt>();
        ++seen.begun;
        auto ended = [&seen, what](const error_code& code, lease got) { on_end(seen, *what, code, std::move(got)); };
        from.async_acquire({.timeout = 60s},
                           asio::bind_executor(mine, asio::bind_cancellation_slot(what->cancel.slot(), ended)));
        for (auto turns = pause(12); turns > 0 && what->ends == 0; --turns) {
            co_await asio::post(mine, asio::use_awaitable);
        }
        if (what->ends == 0 && dice() % 8 != 0) {
            what->given_up = true;
            ++seen.given_up;
            what->cancel.emit(asio::cancellation_type::total);
        }
        while (what->ends == 0) {
            co_await asio::post(mine, asio::use_awaitable);
        }
        for (auto turns = what->mine ? pause(3) : 0; turns > 0; --turns) {
            co_await asio::post(mine, asio::use_awaitable);
        }
        what->mine.release();
    }
    --seen.playing;
}

/// Starts the pool, looks on, and counts what is left at the end.
asio::awaitable<void> preside(pool& of, const campaign::crew& crew, score& seen, const std::string& name) {
    co_await of.start();
    for (std::size_t i = 0; i < players; ++i) {
        auto strand = asio::make_strand(crew.of(i));
        asio::co_spawn(strand, play(of, seen, strand, i + 1), asio::detached);
    }
    while (seen.playing > 0) {
        const pool_counts now = of.stats();
        const bool adds_up = now.total == now.connecting + now.idle + now.leased + now.resetting + now.closing &&
                             now.total <= slots &&
                             now.acquires == now.immediate + now.granted + now.timed_out + now.rejected +
                                                 now.cancelled + now.failed + now.waiting;
        seen.unbalanced += adds_up ? 0 : 1;
        co_await pause(2ms);
    }
    std::vector<lease> all;
    while (auto one = of.try_acquire()) {
        all.push_back(std::move(*one));
    }
    seen.lent_at_once = all.size();
    seen.sessions = fixture::sessions(name);
    all.clear();
    co_await of.close(1s);
}

void race(bool one_context, const std::string& name) {
    campaign::crew crew{one_context};
    score seen;
    seen.wanted = campaign::scaled<std::uint64_t>(1'000'000, 25'000);
    seen.playing = players;
    auto settings = settings_on(fixture::server(), name, {.min = slots, .max = slots});
    pool pool{crew.home().get_executor(), settings};
    std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
    for (std::size_t i = 0; i < campaign::crew::threads; ++i) {
        work.push_back(asio::make_work_guard(crew.of(i)));
    }
    const auto begin = steady_clock::now();
    asio::co_spawn(crew.home(), preside(pool, crew, seen, name), [&](const std::exception_ptr&) { work.clear(); });
    crew.run();
    const pool_counts now = pool.stats();
    WARN("TO-4, " << (one_context ? "one context, four threads: " : "a context for each thread: ") << seen.given_up
                  << " given up of " << seen.begun << " acquires in " << campaign::in_ms(steady_clock::now() - begin)
                  << "; " << seen.cancelled << " cancelled, " << seen.granted_all_the_same
                  << " granted all the same, places lost: " << slots - seen.lent_at_once
                  << ", ended twice: " << seen.twice << ", never: " << seen.begun - seen.ended);
    CHECK(seen.given_up >= seen.wanted);
    CHECK(seen.begun == seen.ended);
    CHECK(seen.twice == 0);
    CHECK(seen.otherwise == 0);
    CHECK(seen.granted_all_the_same > 0);
    CHECK(seen.unbalanced == 0);
    CHECK(seen.lent_at_once == slots);
    CHECK(seen.sessions == slots);
    CHECK(now.cancelled == seen.cancelled);
    CHECK(now.immediate + now.granted == seen.granted + slots);
    CHECK(now.opened == slots);
    CHECK(now.total == 0);
}

}  // namespace

TEST_CASE("TO-4: however many callers give up as they are served, on one context, no place is lost") {
    race(true, "handover_shared");
}

TEST_CASE("TO-4: however many callers give up as they are served, on a context each, no place is lost") {
    race(false, "handover_apart");
}
