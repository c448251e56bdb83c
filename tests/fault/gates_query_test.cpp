#include "gates_stage.hpp"
#include "support/catch.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> query(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("SELECT 1");
}

/// A statement that is given up, and the lease that it ran on.
asio::awaitable<lease> give_up_one(stage& on) {
    auto mine = co_await on.lines->acquire();
    try {
        co_await mine->query({.timeout = 10ms}, "SELECT 'long'");
    } catch (const error&) {
        // The time-out.
    }
    co_return mine;
}

asio::awaitable<void> query_behind_a_mend(stage& on) {
    auto mine = co_await give_up_one(on);
    co_await mine->query("SELECT 1");
}

asio::awaitable<void> keep_mending(stage& on) {
    auto mine = co_await give_up_one(on);
    on.held.push_back(std::move(mine));
}

void wait_for_cancel(stage& at) {
    REQUIRE(at.drive([&] { return at.server.count().cancels == 1; }));
}

const std::string first_part = wire::bare('1') + wire::bare('2');
const std::string second_part = wire::row_description(1, wire::type::int4, true) +
                                wire::data_row({"1"}, wire::type::int4, true) + wire::command_complete("SELECT 1") +
                                wire::ready(wire::transaction::none);

}  // namespace

TEST_CASE("SA-2: a query that has been sent can be ended at any moment") {
    pass({.name = "sent", .reach = [](stage& at, reply) {
              at.warm_up();
              at.server.hold_answers();
              at.play(query);
              REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
          }});
}

TEST_CASE("SA-2: a query that is partly answered can be ended at any moment") {
    gate partly{.name = "partly answered", .reach = [](stage& at, reply) {
                    at.warm_up();
                    at.server.answer_with([first = true](const received_statement&) mutable {
                        return std::exchange(first, false) ? sends_back(first_part, afterwards::serve) : one_row(1);
                    });
                    at.play(query);
                    REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
                }};
    partly.answer = [](stage& at, reply how) {
        if (how == reply::ok) {
            at.server.push(second_part);
        } else {
            answer_all(at, how);
        }
    };
    pass(partly);
}

TEST_CASE("SA-2: a query that waits behind another one's end can be ended at any moment") {
    pass({.name = "parked", .reach = [](stage& at, reply) {
              at.warm_up();
              at.server.hold_answers();
              at.play(query_behind_a_mend);
              wait_for_cancel(at);
          }});
}

TEST_CASE("SA-2: a lease whose statement is being stopped can be ended at any moment") {
    pass({.name = "being stopped", .reach = [](stage& at, reply) {
              at.warm_up();
              at.server.hold_answers();
              at.play(keep_mending);
              wait_for_cancel(at);
          }});
}
