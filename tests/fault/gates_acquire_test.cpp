#include "gates_stage.hpp"
#include "support/catch.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> acquire(stage& on) { auto mine = co_await on.lines->acquire(); }

asio::awaitable<void> start(stage& on) { co_await on.lines->start(); }

asio::awaitable<hook_outcome> ask(connection& c) {
    co_await c.query("SELECT 'hook'");
    co_return hook_outcome::keep;
}

/// The next session's handshake comes late, or never.
void slow_handshake(stage& at, reply how) {
    at.server.greet_next(how == reply::ok ? greeting{.delay = 20ms} : silent());
}

void wait_for_statements(stage& at, std::size_t number) {
    REQUIRE(at.drive([&] { return at.server.count().statements >= number; }));
}

}  // namespace

TEST_CASE("SA-2: whoever waits in the queue can be ended at any moment") {
    gate queued{.name = "queued", .reach = [](stage& at, reply) {
                    at.warm_up();
                    at.hold_one();
                    at.play(acquire);
                    REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
                }};
    queued.answer = [](stage& at, reply how) {
        if (how == reply::fail) {
            at.server.end(afterwards::close);
        }
        if (how != reply::hang) {
            at.held.clear();
        }
    };
    pass(queued);
}

TEST_CASE("SA-2: whoever waits for a dial can be ended at any moment") {
    pass({.name = "dial", .reach = [](stage& at, reply how) {
              slow_handshake(at, how);
              at.play(acquire);
              REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
          }});
}

TEST_CASE("SA-2: whoever waits for the warm-up can be ended at any moment") {
    gate warming{.name = "start", .reach = [](stage& at, reply how) {
                     slow_handshake(at, how);
                     at.play(start);
                     REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
                 }};
    warming.settings = [](pool_settings& by) { by.size.min = 1; };
    pass(warming);
}

TEST_CASE("SA-2: whoever waits for a sign of life can be ended at any moment") {
    gate checked{.name = "check", .reach = [](stage& at, reply) {
                     at.warm_up();
                     const auto before = at.server.count().statements;
                     at.server.hold_answers();
                     at.play(acquire);
                     wait_for_statements(at, before + 1);
                 }};
    checked.settings = [](pool_settings& by) { by.validation.after = 0ms; };
    pass(checked);
}

TEST_CASE("SA-2: whoever waits for the hook before the lending can be ended at any moment") {
    gate asked{.name = "before_acquire", .reach = [](stage& at, reply) {
                   at.warm_up();
                   const auto before = at.server.count().statements;
                   at.server.hold_answers();
                   at.play(acquire);
                   wait_for_statements(at, before + 1);
               }};
    asked.hooks.before_acquire = ask;
    pass(asked);
}

TEST_CASE("SA-2: whoever waits for a new connection's hook can be ended at any moment") {
    gate prepared{.name = "on_connect", .reach = [](stage& at, reply) {
                      at.server.hold_answers();
                      at.play(acquire);
                      wait_for_statements(at, 1);
                  }};
    prepared.hooks.on_connect = ask;
    pass(prepared);
}
