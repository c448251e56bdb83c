#include "mending_fixture.hpp"
#include "support/catch.hpp"

#include <random>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;

/// What hit the statement that followed a cancelled one.
struct follow_up {
    std::size_t cancelled_by_server = 0;  // the given up statement ended by its statement_timeout, or by the request
    std::size_t stray = 0;                // a request to stop hit the next statement
    std::size_t lost = 0;
};

/// Cancels statements at about the moment at which a statement_timeout that this side knows nothing of ends them.
awaitable<void> cancel_near_timeout(lone_connection& on, std::size_t times, unsigned seed, follow_up& seen) {
    std::mt19937 dice{seed};
    for (std::size_t i = 0; i < times; ++i) {
        const std::chrono::microseconds patience{std::uniform_int_distribution<int>{3'000, 6'000}(dice)};
        const auto outcome = co_await run_and_cancel(on, "SELECT pg_sleep(60)", patience);
        seen.cancelled_by_server += outcome == boost::asio::error::operation_aborted ? 1 : 0;
        error_code next;
        std::string why;
        try {
            co_await on.query("SELECT count(*) FROM generate_series(1, 3000)");
        } catch (const error& failed) {
            next = failed.code();
            why = failed.what();
        }
        // The server's own time-out may hit it on a busy machine: its words tell that from a late request.
        seen.stray += why.find("user request") != std::string::npos ? 1 : 0;
        if (next && next != sqlstate::query_canceled) {
            ++seen.lost;
            co_return;
        }
    }
}

}  // namespace

TEST_CASE("TO-6: a statement_timeout of the role or of the URL does not pass for the cancellation") {
    const auto url = server().url() + "?options=-c%20statement_timeout%3D5ms";
    const auto policy = std::make_shared<pg::session_policy>();
    std::vector<follow_up> seen(4);
    boost::asio::io_context context;
    const auto all = [&]() -> awaitable<void> {
        const auto executor = co_await boost::asio::this_coro::executor;
        for (unsigned i = 0; i < seen.size(); ++i) {
            const auto one = [](std::string where, std::shared_ptr<pg::session_policy> by, unsigned seed,
                                follow_up& to) -> awaitable<void> {
                pg::session::events events;
                events.policy = by;
                const auto own = co_await boost::asio::this_coro::executor;
                const auto on = std::make_unique<lone_connection>(open_session(own, where, events));
                co_await cancel_near_timeout(*on, 400, seed, to);
                on->session().close(pool_errc::closed, [] {});
            };
            boost::asio::co_spawn(executor, one(url, policy, i, seen[i]),
                                  [](std::exception_ptr failed) { CHECK_FALSE(failed); });
        }
        co_return;
    };
    run(context, all);
    std::size_t cancelled = 0;
    for (const auto& each : seen) {
        CHECK(each.stray == 0);
        CHECK(each.lost == 0);
        cancelled += each.cancelled_by_server;
    }
    WARN("TO-6: " << cancelled << " of 1600 were given up, " << policy->cancels << " requests, "
                  << policy->cancels_proven << " proven");
    CHECK(cancelled > 0);
}
