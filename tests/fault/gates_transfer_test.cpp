#include "gates_parts.hpp"
#include "support/catch.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::gates;

namespace {

asio::awaitable<void> stream(stage& on) {
    auto mine = co_await on.lines->acquire();
    auto rows = co_await mine->stream("SELECT 1");
    while (co_await rows.next()) {
    }
}

/// Has a row, and does something else than to ask for the next.
asio::awaitable<void> stream_slowly(stage& on) {
    auto mine = co_await on.lines->acquire();
    auto rows = co_await mine->stream("SELECT 1");
    (void)co_await rows.next();
    on.reached = true;
    asio::steady_timer busy{co_await asio::this_coro::executor};
    busy.expires_after(50ms);
    co_await busy.async_wait(asio::use_awaitable);
    while (co_await rows.next()) {
    }
}

asio::awaitable<void> copy_out(stage& on) {
    auto mine = co_await on.lines->acquire();
    auto data = co_await mine->copy_out("COPY t TO STDOUT");
    while (co_await data.next()) {
    }
}

asio::awaitable<void> copy_in(stage& on) {
    auto mine = co_await on.lines->acquire();
    auto data = co_await mine->copy_in("COPY t FROM STDIN");
    on.server.hold_answers();
    on.reached = true;
    co_await data.finish();
}

/// More than the buffers between here and the proxy have room for.
asio::awaitable<void> copy_in_at_length(stage& on) {
    auto mine = co_await on.lines->acquire();
    auto data = co_await mine->copy_in("COPY t FROM STDIN");
    on.line->set({.to_server = {.stopped = true}}, sessions_of_proxy::open);
    on.reached = true;
    const std::string rows(std::size_t{6} << 20, 'x');
    co_await data.write(rows);
    co_await data.finish();
}

asio::awaitable<void> hear(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("LISTEN a");
    on.reached = true;
    const notified_options options{on.lines->settings().query.timeout};
    (void)co_await mine->notified(options);
}

/// The first statement's answer ends in the middle.
void answer_first(stage& at, const std::string& bytes) {
    at.warm_up();
    at.server.answer_with([bytes, first = true](const received_statement&) mutable {
        return std::exchange(first, false) ? sends_back(bytes, afterwards::serve) : one_row(1);
    });
}

const std::string begun = wire::bare('1') + wire::bare('2');
const std::string row = wire::data_row({"1"}, wire::type::int4, true);
const std::string first_row = begun + wire::row_description(1, wire::type::int4, true) + row;
const std::string last_row = row + wire::command_complete("SELECT 2") + wire::ready(wire::transaction::none);
const std::string agrees_to_send = begun + std::string{"H"} + std::string{"\0\0\0\x07\0\0\0", 7};
const std::string agrees_to_take = begun + std::string{"G"} + std::string{"\0\0\0\x07\0\0\0", 7};
const std::string data = std::string{"d"} + std::string{"\0\0\0\x06"
                                                        "1\n",
                                                        6};
const std::string end_of_data = data + std::string{"c"} + std::string{"\0\0\0\x04", 4} +
                                wire::command_complete("COPY 2") + wire::ready(wire::transaction::none);
const std::string notifies = std::string{"A"} + std::string{"\0\0\0\x0b\0\0\0\x01"
                                                            "a\0\0",
                                                            11};

}  // namespace

TEST_CASE("SA-2: a stream that waits for its first row can be ended at any moment") {
    pass({.name = "first row", .reach = [](stage& at, reply) {
              at.warm_up();
              at.server.hold_answers();
              at.play(stream);
              REQUIRE(at.drive([&] { return at.server.count().statements == 1; }));
          }});
}

TEST_CASE("SA-2: a stream that waits for its next row can be ended at any moment") {
    gate next{.name = "next row", .reach = [](stage& at, reply) {
                  answer_first(at, wire::notice_response({"NOTICE", "00000", "so far"}) + first_row);
                  at.play(stream);
                  REQUIRE(at.drive([&] { return at.notices == 1; }));
              }};
    next.answer = answer_with(last_row);
    pass(next);
}

TEST_CASE("SA-2: a stream that nobody asks for the next row can be ended at any moment") {
    gate paused{.name = "paused", .reach = [](stage& at, reply) {
                    answer_first(at, first_row);
                    at.play(stream_slowly);
                    REQUIRE(at.drive([&] { return at.reached; }));
                }};
    paused.answer = answer_with(last_row);
    pass(paused);
}

TEST_CASE("SA-2: a COPY that waits for data can be ended at any moment") {
    gate waiting{.name = "data", .reach = [](stage& at, reply) {
                     answer_first(at, wire::notice_response({"NOTICE", "00000", "so far"}) + agrees_to_send + data);
                     at.play(copy_out);
                     REQUIRE(at.drive([&] { return at.notices == 1; }));
                 }};
    waiting.answer = answer_with(end_of_data);
    pass(waiting);
}

TEST_CASE("SA-2: a COPY whose data has ended can be ended at any moment before the server has stored it") {
    gate storing{.name = "storing", .reach = [](stage& at, reply) {
                     answer_first(at, agrees_to_take);
                     at.play(copy_in);
                     REQUIRE(at.drive([&] { return at.reached; }));
                 }};
    pass(storing);
}

TEST_CASE("SA-2: a COPY whose data the network does not take can be ended at any moment") {
    gate writing{.name = "writing data", .reach = [](stage& at, reply) {
                     answer_first(at, agrees_to_take);
                     at.play(copy_in_at_length);
                     REQUIRE(at.drive([&] { return at.reached; }));
                 }};
    writing.answer = answer_by_line;
    writing.by_proxy = true;
    pass(writing);
}

TEST_CASE("SA-2: who waits for a notification can be ended at any moment") {
    gate hearing{.name = "notification", .reach = [](stage& at, reply) {
                     at.warm_up();
                     at.play(hear);
                     REQUIRE(at.drive([&] { return at.reached; }));
                 }};
    hearing.answer = answer_with(notifies);
    pass(hearing);
}
