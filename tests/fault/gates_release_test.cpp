#include "gates_stage.hpp"
#include "support/catch.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

constexpr std::size_t reset_statements = 7;

asio::awaitable<void> acquire(stage& on) { auto mine = co_await on.lines->acquire(); }

asio::awaitable<void> query(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("SELECT 1");
}

/// Runs a statement, and returns the connection to a server that answers nothing more.
stage::part leave(const char* sql) {
    return [sql](stage& on) -> asio::awaitable<void> {
        auto mine = co_await on.lines->acquire();
        co_await mine->query(sql);
        on.server.hold_answers();
    };
}

asio::awaitable<void> leave_a_running_one(stage& on) {
    auto mine = co_await on.lines->acquire();
    on.server.hold_answers();
    co_await mine->query({.timeout = 10ms}, "SELECT 'long'");
}

asio::awaitable<hook_outcome> ask(connection& c) {
    co_await c.query("SELECT 'hook'");
    co_return hook_outcome::keep;
}

/// Whoever comes next waits for the connection that is being mended.
void wait_for_it(stage& at, std::size_t statements) {
    at.play(acquire);
    REQUIRE(at.drive([&] { return at.server.count().statements >= statements && at.lines->stats().waiting == 1; }));
}

}  // namespace

TEST_CASE("SA-2: whoever waits for a rollback can be ended at any moment") {
    pass({.name = "rollback", .reach = [](stage& at, reply) {
              at.play_aside(leave("BEGIN"));
              REQUIRE(at.drive([&] { return at.frames() == 0; }));
              wait_for_it(at, 2);
          }});
}

TEST_CASE("SA-2: whoever waits for a statement that the last lease left can be ended at any moment") {
    pass({.name = "mend", .reach = [](stage& at, reply) {
              at.play_aside(leave_a_running_one);
              REQUIRE(at.drive([&] { return at.frames() == 0 && at.server.count().cancels == 1; }));
              wait_for_it(at, 1);
          }});
}

TEST_CASE("SA-2: a query behind the reset of the last lease can be ended at any moment") {
    gate behind{.name = "reset", .reach = [](stage& at, reply) {
                    at.play_aside(leave("SELECT 1"));
                    REQUIRE(at.drive([&] { return at.frames() == 0; }));
                    at.play(query);
                    REQUIRE(at.drive([&] { return at.server.count().statements >= 2 + reset_statements; }));
                }};
    behind.settings = [](pool_settings& by) { by.reset.mode = reset_mode::always; };
    pass(behind);
}

TEST_CASE("SA-2: whoever waits for the hook after a return can be ended at any moment") {
    gate hooked{.name = "after_release", .reach = [](stage& at, reply) {
                    at.play_aside(leave("SELECT 1"));
                    REQUIRE(at.drive([&] { return at.frames() == 0; }));
                    wait_for_it(at, 2);
                }};
    hooked.hooks.after_release = ask;
    pass(hooked);
}
