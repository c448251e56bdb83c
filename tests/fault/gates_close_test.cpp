#include "gates_stage.hpp"
#include "support/catch.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> acquire(stage& on) { auto mine = co_await on.lines->acquire(); }

asio::awaitable<void> query(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("SELECT 1");
}

asio::awaitable<void> close_pool(stage& on) {
    on.reached = true;
    co_await on.lines->close(50ms);
}

asio::awaitable<void> start(stage& on) { co_await on.lines->start(); }

asio::awaitable<void> leave_a_transaction(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("BEGIN");
    on.server.hold_answers();
}

asio::awaitable<hook_outcome> ask(connection& c) {
    co_await c.query("SELECT 'hook'");
    co_return hook_outcome::keep;
}

void close_now(stage& at) {
    at.play(close_pool);
    REQUIRE(at.drive([&] { return at.lines->state() == pool_state::closed; }));
}

}  // namespace

TEST_CASE("SA-2: whoever closes while others wait and hold can be ended at any moment") {
    gate holding{.name = "leases", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.hold_one();
                     at.play_aside(acquire);
                     REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
                     close_now(at);
                 }};
    holding.closes = true;
    holding.cancellation = heed::never;
    pass(holding);
}

TEST_CASE("SA-2: whoever closes while a query is under way can be ended at any moment") {
    gate busy{.name = "queries", .reach = [](stage& at, reply) {
                  at.warm_up();
                  at.server.hold_answers();
                  at.play_aside(query);
                  REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
                  close_now(at);
              }};
    busy.closes = true;
    busy.cancellation = heed::never;
    pass(busy);
}

TEST_CASE("SA-2: whoever waits for the server's last word can be ended at any moment") {
    gate goodbye{.name = "goodbye", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.line->set({.to_client = {.stopped = true}});  // a server cannot keep quiet about its own end
                     close_now(at);
                     REQUIRE(at.drive([&] { return at.lines->stats().closing == 1; }));
                 }};
    goodbye.answer = [](stage& at, reply how) {
        if (how == reply::ok) {
            at.line->heal();
        } else if (how == reply::fail) {
            at.line->end_all(proxy_end::reset);
        }
    };
    goodbye.by_proxy = goodbye.closes = true;
    goodbye.cancellation = heed::never;
    pass(goodbye);
}

TEST_CASE("SA-2: whoever waits for the hook before the goodbye can be ended at any moment") {
    gate farewell{.name = "before_close", .reach = [](stage& at, reply) {
                      at.warm_up();
                      at.server.hold_answers();
                      close_now(at);
                      REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
                  }};
    farewell.hooks.before_close = ask;
    farewell.closes = true;
    farewell.cancellation = heed::never;
    pass(farewell);
}

TEST_CASE("SA-2: whoever closes while a dial is under way can be ended at any moment") {
    gate dialing{.name = "dial", .reach = [](stage& at, reply how) {
                     at.server.greet_next(how == reply::ok ? greeting{.delay = 20ms} : silent());
                     at.play_aside(acquire);
                     REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
                     close_now(at);
                 }};
    dialing.closes = true;
    dialing.cancellation = heed::never;
    pass(dialing);
}

TEST_CASE("SA-2: whoever closes while a connection is being mended can be ended at any moment") {
    gate mending{.name = "mend", .reach = [](stage& at, reply) {
                     at.play_aside(leave_a_transaction);
                     REQUIRE(at.drive([&] { return at.frames() == 0 && at.server.count().statements == 2; }));
                     close_now(at);
                 }};
    mending.closes = true;
    mending.cancellation = heed::never;
    pass(mending);
}

TEST_CASE("SA-2: whoever closes while another warms up can be ended at any moment") {
    gate warming{.name = "start", .reach = [](stage& at, reply how) {
                     at.server.greet_next(how == reply::ok ? greeting{.delay = 20ms} : silent());
                     at.play_aside(start);
                     REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
                     close_now(at);
                 }};
    warming.settings = [](pool_settings& by) { by.size.min = 1; };
    warming.closes = true;
    warming.cancellation = heed::never;
    pass(warming);
}

TEST_CASE("SA-2: whoever has announced a close, and whoever waits meanwhile, can be ended at any moment") {
    gate draining{.name = "draining", .reach = [](stage& at, reply) {
                      at.warm_up();
                      at.hold_one();
                      at.play_aside(acquire);
                      at.play(close_pool);
                      REQUIRE(at.drive(
                          [&] { return at.lines->state() == pool_state::draining && at.lines->stats().waiting == 1; }));
                  }};
    draining.answer = [](stage& at, reply how) {
        if (how == reply::fail) {
            at.server.end(afterwards::close);
        }
        if (how != reply::hang) {
            at.held.clear();
        }
    };
    draining.settings = [](pool_settings& by) { by.close.preclose_delay = 50ms; };
    draining.closes = true;
    draining.cancellation = heed::never;
    pass(draining);
}

TEST_CASE("SA-2: whoever has closed and has not resumed can be ended at any moment") {
    gate closed{.name = "closed", .reach = [](stage& at, reply) {
                    at.play(close_pool);
                    REQUIRE(at.drive_callers([&] { return at.reached; }));
                }};
    closed.closes = true;
    closed.cancellation = heed::never;
    pass(closed);

    closed.name = "closed, on its way home";
    closed.told = true;
    closed.reach = [before = closed.reach](stage& at, reply how) {
        before(at, how);
        at.home->restart();
        at.home->poll_one();
    };
    pass(closed);
}
