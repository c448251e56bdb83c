#include "gates_stage.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"

#include <optional>
#include <string>

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

asio::awaitable<void> close(stage& on) { co_await on.lines->close(50ms); }

asio::awaitable<hook_outcome> ask(connection& c) {
    co_await c.query("SELECT 'hook'");
    co_return hook_outcome::keep;
}

std::string url_through(const fault_proxy& between) {
    return "postgresql://somebody@127.0.0.1:" + std::to_string(between.port()) + "/anything?sslmode=disable";
}

void close_now(stage& at) {
    at.play(close);
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
    pass(busy);
}

TEST_CASE("SA-2: whoever waits for the server's last word can be ended at any moment") {
    std::optional<fault_proxy> between;  // a server cannot keep quiet about the end of its socket
    gate goodbye{.name = "goodbye", .reach = [&](stage& at, reply) {
                     between.emplace(at.server.port());
                     auto through = at.lines->settings();
                     through.connect.url = url_through(*between);
                     at.lines->reconfigure(through);
                     at.warm_up();
                     between->set({.to_client = {.stopped = true}});
                     close_now(at);
                     REQUIRE(at.drive([&] { return at.lines->stats().closing == 1; }));
                 }};
    goodbye.answer = [&](stage&, reply how) {
        if (how == reply::ok) {
            between->heal();
        } else if (how == reply::fail) {
            between->end_all(proxy_end::reset);
        }
    };
    goodbye.closes = true;
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
    pass(dialing);
}
