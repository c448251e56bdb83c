#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/scripted_server.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <functional>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr auto patience = 400ms;

pool_settings settings_for(const scripted_server& server) {
    auto settings = fixture::settings_on(server, {.min = 0, .max = 2});
    settings.connect.timeout = 30s;
    settings.connect.backoff_initial = 5ms;
    settings.connect.backoff_max = 10ms;
    settings.recovery.fail_fast_after.reset();
    settings.validation = {.after = 0ms, .timeout = 100ms};
    settings.hooks.before_acquire_timeout = 100ms;
    return settings;
}

/// Nobody is served; `patience` is what counts, and nothing that is tried again on the way.
asio::awaitable<void> waits_no_longer(pool& from) {
    const auto begin = steady_clock::now();
    error_code told;
    try {
        const auto lent = co_await from.acquire({.timeout = patience});
    } catch (const acquire_error& refused) {
        told = refused.code();
        CHECK(refused.waited() >= patience);
    }
    const auto took = steady_clock::now() - begin;
    CHECK(told == pool_errc::acquire_timeout);
    CHECK(took >= patience);
    CHECK(took < patience + 5s);  // the figure is the campaign's; a deadline begun anew would be missed by far more
}

/// The hook's every call ends like that; gives how often it was called.
asio::awaitable<int> calls_of_hook(asio::io_context& context, scripted_server& server,
                                   std::function<asio::awaitable<hook_outcome>()> each) {
    int calls = 0;
    pool_hooks hooks;
    hooks.before_acquire = [&](connection&) {
        ++calls;
        return each();
    };
    pool pool{context.get_executor(), settings_for(server), hooks};
    co_await waits_no_longer(pool);
    co_await pool.close(0s);
    co_return calls;
}

}  // namespace

TEST_CASE("AQ-5: one deadline counts, whatever a caller waits for, and however often that is tried again") {
    scripted_server server;
    asio::io_context context;
    SECTION("a dial that hangs") {
        server.greet_with(silent());
        pool pool{context.get_executor(), settings_for(server)};
        run(context, [&]() -> asio::awaitable<void> {
            co_await waits_no_longer(pool);
            co_await pool.close(0s);
        });
        CHECK(pool.stats().dials == 1);
    }
    SECTION("dials that fail") {
        server.stop_listening();
        pool pool{context.get_executor(), settings_for(server)};
        run(context, [&]() -> asio::awaitable<void> {
            co_await waits_no_longer(pool);
            co_await pool.close(0s);
        });
        CHECK(pool.stats().dials_failed > 1);
    }
    SECTION("signs of life that do not come") {
        auto settings = settings_for(server);
        settings.size.min = 2;
        pool pool{context.get_executor(), settings};
        run(context, [&]() -> asio::awaitable<void> {
            co_await pool.start();
            server.hold_answers();
            server.greet_with(silent());
            co_await waits_no_longer(pool);
            co_await pool.close(0s);
        });
        CHECK(pool.stats().invalid >= 1);
    }
    SECTION("a hook that discards each connection") {
        int calls = 0;
        run(context, [&]() -> asio::awaitable<void> {
            calls = co_await calls_of_hook(context, server,
                                           []() -> asio::awaitable<hook_outcome> { co_return hook_outcome::discard; });
        });
        CHECK(calls > 1);
    }
    SECTION("a hook that never ends") {
        int calls = 0;
        run(context, [&]() -> asio::awaitable<void> {
            calls = co_await calls_of_hook(context, server, []() -> asio::awaitable<hook_outcome> {
                co_await hang();
                co_return hook_outcome::keep;
            });
        });
        CHECK(calls > 1);
    }
}
