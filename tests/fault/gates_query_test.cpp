#include "gates_parts.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <sys/epoll.h>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> query_the_pool(stage& on) { co_await on.lines->query("SELECT 1"); }

/// More than the buffers between here and the proxy have room for: 4 MiB here (net.ipv4.tcp_wmem), 128 KiB there.
asio::awaitable<void> query_at_length(stage& on) {
    auto mine = co_await on.lines->acquire();
    const std::string sql = "SELECT '" + std::string(std::size_t{6} << 20, 'x') + "'";
    co_await mine->query(sql);
}

/// The kernel's word for it that somebody in this process waits for room in a socket: the pool, for all others poll.
bool waits_for_room() {
    for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fdinfo"}) {
        std::ifstream told{each.path()};
        for (std::string word; told >> word;) {  // "tfd: 5 events: 8000001f data: …" for each socket of an epoll
            unsigned events = 0;
            if (word == "events:" && told >> std::hex >> events && (events & EPOLLOUT) != 0) {
                return true;
            }
        }
    }
    return false;
}

asio::awaitable<void> query_for_a_moment(stage& on) {
    auto mine = co_await on.lines->acquire();
    on.reached = true;
    co_await mine->query({.timeout = 10ms}, "SELECT 'long'");
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

void send_one(stage& at, const stage::part& how) {
    at.warm_up();
    at.server.hold_answers();
    at.play(how);
    REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
}

/// A statement whose first part has been answered, and read.
void answer_in_part(stage& at, const std::string& bytes) {
    at.warm_up();
    at.server.answer_with([bytes, first = true](const received_statement&) mutable {
        return std::exchange(first, false) ? sends_back(bytes, afterwards::serve) : one_row(1);
    });
    at.play(query);
    REQUIRE(at.drive([&] { return at.notices == 1; }));
}

const std::string notice = wire::notice_response({"NOTICE", "00000", "so far"});
const std::string copy_out = std::string{"H"} + std::string{"\0\0\0\x07\0\0\0", 7};
const std::string copy_end = std::string{"c"} + std::string{"\0\0\0\x04", 4} + wire::command_complete("COPY 0") +
                             wire::ready(wire::transaction::none);
const std::string first_part = wire::bare('1') + wire::bare('2');
const std::string second_part = wire::row_description(1, wire::type::int4, true) +
                                wire::data_row({"1"}, wire::type::int4, true) + wire::command_complete("SELECT 1") +
                                wire::ready(wire::transaction::none);

}  // namespace

TEST_CASE("SA-2: a query that has been sent can be ended at any moment") {
    pass({.name = "sent", .reach = [](stage& at, reply) { send_one(at, query); }});
    pass({.name = "sent by the pool", .reach = [](stage& at, reply) { send_one(at, query_the_pool); }});
}

TEST_CASE("SA-2: a query behind the setting of its time can be ended at any moment") {
    gate timed{.name = "behind a SET", .reach = [](stage& at, reply) {
                   at.warm_up();
                   at.server.hold_answers();
                   at.play(query);
                   REQUIRE(at.drive([&] { return at.server.count().statements == 2; }));
               }};
    timed.settings = [](pool_settings& by) { by.query.server_timeout = true; };
    pass(timed);
}

TEST_CASE("SA-2: a query that is partly answered can be ended at any moment") {
    gate partly{.name = "partly answered", .reach = [](stage& at, reply) { answer_in_part(at, notice + first_part); }};
    partly.answer = answer_with(second_part);
    pass(partly);
}

TEST_CASE("SA-2: a COPY that is being read to its end can be ended at any moment") {
    gate copying{.name = "COPY", .reach = [](stage& at, reply) { answer_in_part(at, notice + first_part + copy_out); }};
    copying.answer = answer_with(copy_end);
    pass(copying);
}

TEST_CASE("SA-2: a query that the network does not take can be ended at any moment") {
    gate writing{.name = "writing", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.line->set({.to_server = {.stopped = true}}, sessions_of_proxy::open);
                     at.play(query_at_length);
                     REQUIRE(at.drive(waits_for_room));
                 }};
    writing.answer = answer_by_line;
    writing.by_proxy = true;
    writing.settings = [](pool_settings& by) { by.query.timeout = std::max(by.query.timeout, 500ms); };  // to get there
    pass(writing);
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
    gate mending{.name = "being stopped", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.server.hold_answers();
                     at.play(keep_mending);
                     wait_for_cancel(at);
                 }};
    mending.cancellation = heed::never;  // nobody waits
    pass(mending);
}

TEST_CASE("SA-2: a query behind a request to stop that does not arrive can be ended at any moment") {
    gate asking{.name = "asking", .reach = [](stage& at, reply) {
                    at.warm_up();
                    at.server.hold_answers();
                    at.line->set({.to_server = {.stopped = true}}, sessions_of_proxy::next);
                    at.play(query_behind_a_mend);
                    REQUIRE(at.drive([&] { return at.line->counts().accepted == 2; }));
                }};
    asking.answer = answer_by_line;
    asking.by_proxy = true;
    pass(asking);
}

TEST_CASE("SA-2: a query whose cancellation has not been told can be ended at any moment") {
    gate cancelled{.name = "cancelled", .reach = [](stage& at, reply) {
                       send_one(at, query);
                       at.cancel();
                   }};
    pass(cancelled);
}

TEST_CASE("SA-2: a query whose refusal has not been told can be ended at any moment") {
    gate refused{.name = "refused", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.hold_one();
                     at.server.hold_answers();
                     at.play_aside(query_what_is_held);
                     REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
                     at.reached = false;
                     at.play(query_what_is_held);
                     REQUIRE(at.drive_callers([&] { return at.reached; }));
                 }};
    refused.cancellation = heed::never;
    pass(refused);
}

TEST_CASE("SA-2: a query that has ended and has not resumed can be ended at any moment") {
    gate over{.name = "timed out", .reach = [](stage& at, reply) {
                  at.warm_up();
                  at.server.hold_answers();
                  at.play(query_for_a_moment);
                  REQUIRE(at.drive_callers([&] { return at.reached; }));
                  REQUIRE(at.drive_home([&] { return at.lines->stats().cancels == 1; }));
              }};
    over.told = true;
    over.cancellation = heed::never;
    pass(over);
}
