#include "gates_parts.hpp"
#include "support/catch.hpp"

#include <functional>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> close_pool(stage& on) {
    on.reached = true;
    co_await on.lines->close(50ms);
}

asio::awaitable<void> leave_a_transaction(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("BEGIN");
    on.server.hold_answers();
}

/// Nobody who closes hears of a cancellation, and nobody uses the pool afterwards.
gate closing(const char* name, std::function<void(stage&, reply)> reach) {
    return {.name = name, .reach = std::move(reach), .closes = true, .cancellation = heed::never};
}

void close_now(stage& at) {
    at.play(close_pool);
    REQUIRE(at.drive([&] { return at.lines->state() == pool_state::closed; }));
}

}  // namespace

TEST_CASE("SA-2: whoever closes while others wait and hold can be ended at any moment") {
    gate holding = closing("leases", [](stage& at, reply) {
        at.warm_up();
        at.hold_one();
        at.play_aside(acquire);
        REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
        close_now(at);
    });
    pass(holding);
}

TEST_CASE("SA-2: whoever closes while a query is under way can be ended at any moment") {
    gate busy = closing("queries", [](stage& at, reply) {
        at.warm_up();
        at.server.hold_answers();
        at.play_aside(query);
        REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
        close_now(at);
    });
    pass(busy);
}

TEST_CASE("SA-2: whoever waits for the server's last word can be ended at any moment") {
    gate goodbye = closing("goodbye", [](stage& at, reply) {
        at.warm_up();
        at.line->set({.to_client = {.stopped = true}});  // a server cannot keep quiet about its own end
        close_now(at);
        REQUIRE(at.drive([&] { return at.lines->stats().closing == 1; }));
    });
    goodbye.answer = answer_by_line;
    goodbye.by_proxy = true;
    pass(goodbye);
}

TEST_CASE("SA-2: whoever waits for the hook before the goodbye can be ended at any moment") {
    gate farewell = closing("before_close", [](stage& at, reply) {
        at.warm_up();
        at.server.hold_answers();
        close_now(at);
        REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
    });
    farewell.hooks.before_close = ask;
    pass(farewell);
}

TEST_CASE("SA-2: whoever closes while a dial is under way can be ended at any moment") {
    gate dialing = closing("dial", [](stage& at, reply) {
        hold_handshake(at);
        at.play_aside(acquire);
        REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
        close_now(at);
    });
    dialing.answer = answer_handshake;
    pass(dialing);
}

TEST_CASE("SA-2: whoever closes while a connection is being mended can be ended at any moment") {
    gate mending = closing("mend", [](stage& at, reply) {
        at.play_aside(leave_a_transaction);
        REQUIRE(at.drive([&] { return at.frames() == 0 && at.server.count().statements == 2; }));
        close_now(at);
    });
    pass(mending);
}

TEST_CASE("SA-2: whoever closes while another warms up can be ended at any moment") {
    gate warming = closing("start", [](stage& at, reply) {
        hold_handshake(at);
        at.play_aside(start);
        REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
        close_now(at);
    });
    warming.answer = answer_handshake;
    warming.settings = [](pool_settings& by) { by.size.min = 1; };
    pass(warming);
}

TEST_CASE("SA-2: whoever has announced a close, and whoever waits meanwhile, can be ended at any moment") {
    gate draining = closing("draining", [](stage& at, reply) {
        at.warm_up();
        at.hold_one();
        at.play_aside(acquire);
        at.play(close_pool);
        REQUIRE(at.drive([&] { return at.lines->state() == pool_state::draining && at.lines->stats().waiting == 1; }));
    });
    draining.answer = answer_by_release;
    draining.settings = [](pool_settings& by) { by.close.preclose_delay = 50ms; };
    pass(draining);
}

TEST_CASE("SA-2: whoever has closed and has not resumed can be ended at any moment") {
    gate closed = closing("closed", [](stage& at, reply) {
        at.play(close_pool);
        REQUIRE(at.drive_callers([&] { return at.reached; }));
    });
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
