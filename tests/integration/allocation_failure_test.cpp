#include "allocation_trial.hpp"
#include "support/catch.hpp"

#include <optional>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

void one_idle(trial& on) {
    on.open(1);
    on.held.clear();
}

void all_idle(trial& on) {
    on.open(on.max);
    on.held.clear();
}

void all_leased(trial& on) { on.open(on.max); }

}  // namespace

TEST_CASE("SA-8: without memory an acquire that finds a free connection ends, and no slot is lost") {
    exhaust("acquire at once", {.prepare = one_idle, .attempt = acquire_once});
    exhaust("callback at once", {.prepare = one_idle, .attempt = call_back_once});
}

TEST_CASE("SA-8: try_acquire and the return of its lease need no memory") {
    trial one{settings_of_trials(0, 1), {}};
    one_idle(one);
    if (!fails_allocations()) {
        WARN("SKIPPED: the thread sanitizer's own new cannot be made to fail");
        return;
    }
    fail_allocations(0, 1'000'000, whose::this_thread);
    auto got = one.lines->try_acquire();
    const bool had = got.has_value();
    got.reset();
    CHECK(allocations_work_again() == 0);
    CHECK(had);
    one.check();
}

TEST_CASE("SA-8: without memory a lease that is released reaches who waits, and no slot is lost") {
    const auto hand_over = [](trial& on) {
        on.acquire_by_coroutine({.keep = false});
        on.acquire({});
        (void)on.drive([&] { return on.lines->stats().waiting == on.begun - on.ended; }, 1s);
        on.held.clear();
        on.drive_to_the_end();
    };
    exhaust("release to who waits", {.prepare = all_leased, .attempt = hand_over});
}

TEST_CASE("SA-8: without memory who waits for too long is told so, and no slot is lost") {
    const auto time_out = [](trial& on) {
        on.acquire_by_coroutine({.patience = 5ms});
        on.acquire({.patience = 5ms});
        on.drive_to_the_end();
    };
    exhaust("a time-out", {.prepare = all_leased, .attempt = time_out});
    exhaust("a time-out, three failures in a row", {.prepare = all_leased, .attempt = time_out, .failures = 3});
}

TEST_CASE("SA-8: without memory a caller on another executor is told or dropped, and no slot is lost") {
    // Asio asks for memory at each hop to an executor that is not an io_context's.
    const auto hand_over = [](trial& on) {
        on.acquire_by_coroutine({.elsewhere = true});
        on.acquire({.elsewhere = true});
        (void)on.drive([&] { return on.lines->stats().waiting == on.begun - on.ended; }, 1s);
        on.held.clear();
        (void)on.drive([&] { return on.ended == on.begun; }, 20ms);
    };
    const auto check = [](trial& on) {
        on.check_room();
        CHECK(on.ended <= on.begun);
    };
    exhaust("release to another executor", {.prepare = all_leased, .attempt = hand_over, .check = check});
}

TEST_CASE("SA-8: without memory a lease that is released inside a transaction loses no slot") {
    const auto begin = [](trial& on) {
        on.open(1);
        on.spawn([&on]() -> asio::awaitable<void> { co_await on.held[0]->query("BEGIN"); });
        REQUIRE(on.drive([&] { return on.ended == 1; }));
    };
    const auto release = [](trial& on) {
        on.held.clear();
        (void)on.drive([&] { return on.lines->stats().idle == 1 || on.lines->stats().total == 0; }, 1s);
    };
    exhaust("release inside a transaction", {.prepare = begin, .attempt = release, .of_libpq = true});
}

TEST_CASE("SA-8: without memory a lease that is released with a setting changed loses no slot") {
    const auto change = [](trial& on) {
        on.open(1);
        on.spawn([&on]() -> asio::awaitable<void> { co_await on.held[0]->query("SET work_mem = '1MB'"); });
        REQUIRE(on.drive([&] { return on.ended == 1; }));
    };
    const auto release = [](trial& on) {
        on.held.clear();
        on.acquire_by_coroutine({.keep = false, .sql = "SELECT 1"});
        on.drive_to_the_end();
    };
    exhaust("release with a setting changed", {.prepare = change, .attempt = release});
}

TEST_CASE("SA-8: without memory a lease that is discarded loses no slot") {
    const auto discard = [](trial& on) {
        on.held[0].discard();
        on.held.clear();
        (void)on.drive([&] { return on.lines->stats().total == 0; }, 2s);
    };
    exhaust("discard", {.prepare = [](trial& on) { on.open(1); }, .attempt = discard});
}

TEST_CASE("SA-8: without memory a statement ends with an error, and no slot is lost") {
    const auto query = [](trial& on) {
        on.acquire_by_coroutine({.keep = false, .sql = "SELECT 1, repeat('x', 2000)"});
        on.drive_to_the_end();
    };
    exhaust("query", {.prepare = one_idle, .attempt = query});
    exhaust("query, three failures in a row", {.prepare = one_idle, .attempt = query, .failures = 3});
}

TEST_CASE("SA-8: without memory a hook ends, and no slot is lost") {
    // From its first step on: Asio 1.81's strand, which it runs on, crashes where it gets no memory for itself.
    pool_hooks hooks;
    hooks.before_acquire = [](connection& c) -> asio::awaitable<hook_outcome> {
        begin_to_fail();
        (void)co_await c.query("SELECT 1");
        co_return hook_outcome::keep;
    };
    const auto use = [](trial& on) {
        on.acquire_by_coroutine({});
        on.drive_to_the_end();
    };
    exhaust("a hook", {.prepare = one_idle, .attempt = use, .hooks = hooks, .begins_itself = true});
}

TEST_CASE("SA-8: without memory a pool closes all the same") {
    const auto close = [](trial& on) {
        on.spawn([&on]() -> asio::awaitable<void> { co_await on.lines->close(0ms); });
        on.drive_to_the_end();
    };
    const auto all_gone = [](trial& on) {
        CHECK(on.drive([&] { return on.ended == on.begun; }));
        on.close();
    };
    const auto announced = [](trial& on) {
        all_idle(on);
        auto settings = on.lines->settings();
        settings.close.preclose_delay = 5ms;
        on.lines->reconfigure(settings);
    };
    exhaust("close", {.prepare = all_idle, .attempt = close, .check = all_gone, .max = more_than_fit_inline});
    exhaust("an announced close", {.prepare = announced, .attempt = close, .check = all_gone});
}

TEST_CASE("SA-8: without memory a pool can be destroyed, and its sessions end") {
    const auto destroy = [](trial& on) {
        on.lines.reset();
        (void)on.drive([&] { return on.context.stopped(); }, 50ms);
    };
    const auto all_gone = [](trial& on) { CHECK(on.drive([] { return sessions_of_trials() == 0; })); };
    exhaust("destruction", {.prepare = all_idle, .attempt = destroy, .check = all_gone, .max = more_than_fit_inline});
}
