#include "gates_parts.hpp"
#include "support/catch.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> acquire_by_callback(stage& on) {
    auto mine = co_await on.lines->async_acquire(asio::use_awaitable);
}

/// The kernel's word for it that the pool's dialer has done what there was to do: what a server has sent wakes it at once.
bool dialer_sleeps() {
    for (const auto& each : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::ifstream told{each.path() / "stat"};  // "17 (trunkline-dial) S …"
        std::string number;
        std::string name;
        std::string state;
        if (told >> number >> name >> state && name == "(trunkline-dial)") {
            return state == "S";
        }
    }
    return false;
}

/// The only connection is being closed, and the server's end of it does not come.
void leave_one_closing(stage& at) {
    at.warm_up();
    at.line->set({.to_client = {.stopped = true}}, sessions_of_proxy::open);
    at.lines->evict_all();
    REQUIRE(at.drive([&] { return at.lines->stats().closing == 1; }));
}

}  // namespace

TEST_CASE("SA-2: whoever waits in the queue can be ended at any moment") {
    for (const auto how : {acquire, acquire_by_callback}) {
        gate queued{.name = "queued", .reach = [how](stage& at, reply) {
                        at.warm_up();
                        at.hold_one();
                        wait_in_queue(at, how);
                    }};
        queued.answer = answer_by_release;
        pass(queued);
    }
}

TEST_CASE("SA-2: whoever waits in the queue of a suspended pool can be ended at any moment") {
    gate suspended{.name = "suspended", .reach = [](stage& at, reply) {
                       at.warm_up();
                       at.lines->suspend();
                       wait_in_queue(at, acquire);
                   }};
    suspended.answer = [](stage& at, reply what) {
        if (what == reply::fail) {
            at.server.end(afterwards::close);
        }
        if (what != reply::hang) {
            at.lines->resume();
        }
    };
    pass(suspended);
}

TEST_CASE("SA-2: whoever has a connection and has not resumed can be ended at any moment") {
    gate granted{.name = "granted", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.hold_one();
                     wait_in_queue(at, acquire);
                     at.held.clear();
                     REQUIRE(at.lines->stats().granted == 2);
                 }};
    granted.told = true;
    granted.cancellation = heed::never;
    pass(granted);

    granted.name = "granted, by callback";
    granted.told = false;  // it goes through the pool's queue first
    granted.reach = [](stage& at, reply) {
        at.warm_up();
        at.hold_one();
        wait_in_queue(at, acquire_by_callback);
        at.held.clear();
    };
    pass(granted);

    granted.name = "granted, by callback, on its way home";
    granted.told = true;
    granted.reach = [before = granted.reach](stage& at, reply how) {
        before(at, how);
        at.home->restart();
        at.home->poll_one();
    };
    pass(granted);
}

TEST_CASE("SA-2: whoever is refused and has not resumed can be ended at any moment") {
    gate refused{.name = "refused", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.hold_one();
                     at.play_aside(acquire);
                     REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
                     at.play(acquire);
                     REQUIRE(at.drive_callers([&] { return at.lines->stats().rejected == 1; }));
                     at.held.clear();
                 }};
    refused.settings = [](pool_settings& by) { by.acquire.max_waiting = 1; };
    refused.cancellation = heed::never;
    pass(refused);
}

TEST_CASE("SA-2: whoever waits for a dial can be ended at any moment") {
    pass({.name = "dial",
          .reach =
              [](stage& at, reply) {
                  hold_handshake(at);
                  at.play(acquire);
                  REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
              },
          .answer = answer_handshake});
}

TEST_CASE("SA-2: whoever waits for a dial that has just ended can be ended at any moment") {
    gate dialed{.name = "dialed", .reach = [](stage& at, reply) {
                    at.play(acquire);
                    REQUIRE(at.drive_callers([&] { return at.lines->stats().waiting == 1; }));
                    REQUIRE(at.server.wait_for([&] { return at.server.count().ready == 1; }));
                    REQUIRE(wait_idly(dialer_sleeps));  // its end lies in the pool's queue
                }};
    dialed.cancellation = heed::maybe;
    pass(dialed);
}

TEST_CASE("SA-2: whoever waits between two dials can be ended at any moment") {
    gate pausing{.name = "backoff", .reach = [](stage& at, reply) {
                     at.server.greet_next(refuses("57P03", "starting up"));
                     at.server.greet_with(sends("", afterwards::serve));  // for who comes before the server's part
                     wait_in_queue(at, acquire);
                     REQUIRE(at.drive([&] { return at.lines->stats().dials_failed > 0; }));
                 }};
    pausing.settings = [](pool_settings& by) { by.recovery.starting_retry = 50ms; };
    pausing.answer = [](stage& at, reply what) {
        at.server.greet_with(accepts());
        if (what != reply::ok) {
            at.server.greet_next(what == reply::fail ? refuses("57P03", "still starting up") : silent());
        }
        answer_handshake(at, what);
    };
    pass(pausing);
}

TEST_CASE("SA-2: whoever waits for the warm-up can be ended at any moment") {
    gate warming{.name = "start", .reach = [](stage& at, reply) {
                     hold_handshake(at);
                     at.play(start);
                     REQUIRE(at.drive([&] { return at.server.count().sessions == 1; }));
                 }};
    warming.answer = answer_handshake;
    warming.settings = [](pool_settings& by) { by.size.min = 1; };
    warming.cancellation = heed::never;
    pass(warming);
}

TEST_CASE("SA-2: whoever has warmed up and has not resumed can be ended at any moment") {
    gate warm{.name = "started", .reach = [](stage& at, reply) {
                  at.play(start);
                  REQUIRE(at.drive_callers([&] { return at.reached; }));
              }};
    warm.cancellation = heed::never;
    pass(warm);
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

TEST_CASE("SA-2: whoever waits for a sign of life that nobody asked for can be ended at any moment") {
    gate kept{.name = "keepalive", .reach = [](stage& at, reply) {
                  at.server.hold_answers();
                  at.warm_up();
                  wait_for_statements(at, 1);
                  wait_in_queue(at, acquire);
              }};
    kept.settings = [](pool_settings& by) {
        by.lifetime.keepalive = 20ms;
        by.validation.after = 60s;
    };
    pass(kept);
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

TEST_CASE("SA-2: whoever waits for a hook that has not begun can be ended at any moment") {
    gate posted{.name = "hook", .reach = [](stage& at, reply) {
                    at.warm_up();
                    at.server.hold_answers();
                    at.play(acquire);
                    REQUIRE(at.drive_callers([&] { return at.lines->stats().waiting == 1; }));
                }};
    posted.hooks.before_acquire = ask;
    pass(posted);
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

TEST_CASE("SA-2: whoever waits for a new connection's question about the server's limits can be ended at any moment") {
    gate measured{.name = "limits", .reach = [](stage& at, reply) {
                      at.server.hold_answers();
                      at.play(acquire);
                      wait_for_statements(at, 1);
                  }};
    measured.settings = [](pool_settings& by) { by.size.automatic = automatic_size{}; };
    pass(measured);
}

TEST_CASE("SA-2: whoever waits for the room of a connection that is being closed can be ended at any moment") {
    gate room{.name = "closing", .reach = [](stage& at, reply) {
                  leave_one_closing(at);
                  wait_in_queue(at, acquire);
              }};
    room.answer = answer_by_line;
    room.by_proxy = true;
    pass(room);
}

TEST_CASE("SA-2: whoever waits for the hook before another one's goodbye can be ended at any moment") {
    gate farewell{.name = "before_close", .reach = [](stage& at, reply) {
                      at.warm_up();
                      at.server.hold_answers();
                      at.lines->evict_all();
                      wait_for_statements(at, 1);
                      wait_in_queue(at, acquire);
                  }};
    farewell.hooks.before_close = ask;
    pass(farewell);
}
