#include "gates_parts.hpp"
#include "support/catch.hpp"

#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

constexpr std::size_t reset_statements = 7;

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

asio::awaitable<void> discard_one(stage& on) {
    auto mine = co_await on.lines->acquire();
    mine.discard();
}

/// Answers neither a statement that is given up nor the one that takes its late signal.
void answer_nothing_to(stage& at, const std::string& sql) {
    at.server.answer_with([sql](const received_statement& what) {
        return what.text.empty() || what.text == sql ? sends_back("", afterwards::serve) : one_row(1);
    });
}

const std::string whole_answer = wire::bare('1') + wire::bare('2') + wire::row_description(1, wire::type::int4, true) +
                                 wire::data_row({"1"}, wire::type::int4, true) + wire::command_complete("SELECT 1") +
                                 wire::ready(wire::transaction::none);
const std::string rest =
    wire::bare('1') + wire::bare('2') + wire::bare('n') + wire::bare('I') + wire::ready(wire::transaction::none);

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

TEST_CASE("SA-2: whoever waits for what takes a late signal can be ended at any moment") {
    gate absorbing{.name = "absorb", .reach = [](stage& at, reply) {
                       answer_nothing_to(at, "SELECT 'long'");
                       at.play_aside([](stage& on) -> asio::awaitable<void> {
                           auto mine = co_await on.lines->acquire();
                           co_await mine->query({.timeout = 10ms}, "SELECT 'long'");
                       });
                       REQUIRE(at.drive([&] { return at.frames() == 0 && at.server.count().cancels == 1; }));
                       at.server.push(whole_answer);  // the signal comes too late for it
                       wait_for_it(at, 2);
                   }};
    absorbing.answer = answer_with(rest);
    pass(absorbing);
}

TEST_CASE("SA-2: a query whose lease is returned, and whoever waits behind it, can be ended at any moment") {
    gate taken{.name = "taken away", .reach = [](stage& at, reply) {
                   at.warm_up();
                   at.hold_one();
                   at.server.hold_answers();
                   at.play(query_what_is_held);
                   REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
                   at.play_aside(acquire);
                   REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
                   at.held.clear();
               }};
    taken.cancellation = heed::never;  // the query has its outcome
    pass(taken);
}

TEST_CASE("SA-2: whoever waits behind a connection that was given up can be ended at any moment") {
    gate discarded{.name = "discarded", .reach = [](stage& at, reply) {
                       at.warm_up();
                       at.line->set({.to_client = {.stopped = true}}, sessions_of_proxy::open);
                       at.play_aside(discard_one);
                       REQUIRE(at.drive([&] { return at.lines->stats().closing == 1; }));
                       wait_in_queue(at, acquire);
                   }};
    discarded.answer = answer_by_line;
    discarded.by_proxy = true;
    pass(discarded);
}
