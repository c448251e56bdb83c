#include "pg/mending.hpp"
#include "support/catch.hpp"

#include <vector>

namespace {

using namespace trunkline::pg;
using namespace std::chrono_literals;
using trunkline::reset_mode;

struct row {
    const char* what;
    unrest now;
    std::size_t ahead;
    step next;
};

TEST_CASE("TO-6: what a session does on its way back to rest") {
    const std::vector<row> table{
        {"nothing is owed", {}, 0, step::done},
        {"given up behind a reset", {.statement_open = true, .wants_request = true}, 1, step::wait},
        {"given up and running", {.statement_open = true, .wants_request = true}, 0, step::ask},
        {"asked", {.statement_open = true, .request_open = true, .asked = 1}, 0, step::wait},
        {"the statement ended first", {.request_open = true, .asked = 1}, 0, step::wait},
        {"the request ended first", {.statement_open = true, .asked = 1}, 0, step::wait},
        {"both ended", {.asked = 1}, 0, step::absorb},
        {"both ended, asked twice", {.asked = 2}, 0, step::absorb},
        {"absorbing", {.asked = 1}, 1, step::wait},
        {"absorbed", {.asked = 1, .absorbed = true}, 0, step::done},
        {"ended before anybody asked", {.statement_open = false}, 0, step::done},
        {"returned in a transaction", {.mending = true, .in_transaction = true}, 0, step::roll_back},
        {"returned while a reset runs", {.mending = true}, 1, step::wait},
        {"rolled back", {.mending = true, .rolled_back = true}, 0, step::done},
        {"not rolled back", {.mending = true, .in_transaction = true, .rolled_back = true}, 0, step::give_up},
        {"absorbs before it rolls back", {.asked = 1, .mending = true, .in_transaction = true}, 0, step::absorb},
        {"in a lease's own transaction", {.in_transaction = true}, 0, step::done},
    };
    for (const auto& one : table) {
        INFO(one.what);
        CHECK(next_step(one.now, one.ahead) == one.next);
    }
}

TEST_CASE("TO-8: half as many cancellations as statements, and 128 in advance") {
    CHECK(may_ask_to_stop(0, 0));
    CHECK(may_ask_to_stop(127, 0));
    CHECK_FALSE(may_ask_to_stop(128, 0));
    CHECK(may_ask_to_stop(627, 1'000));
    CHECK_FALSE(may_ask_to_stop(628, 1'000));
}

TEST_CASE("HY-8: when a reset is due") {
    CHECK_FALSE(reset_is_due(reset_mode::smart, footprint::none));
    CHECK_FALSE(reset_is_due(reset_mode::smart, footprint::harmless));
    CHECK(reset_is_due(reset_mode::smart, footprint::possible));
    for (const auto mode : {reset_mode::always, reset_mode::discard_all}) {
        CHECK_FALSE(reset_is_due(mode, footprint::none));
        CHECK(reset_is_due(mode, footprint::harmless));
        CHECK(reset_is_due(mode, footprint::possible));
    }
    CHECK_FALSE(reset_is_due(reset_mode::off, footprint::possible));
}

TEST_CASE("TO-9: what goes in front of a statement") {
    CHECK(preamble_of({}, 0ms, false) == preamble::none);
    CHECK(preamble_of({}, 5ms, false) == preamble::set_timeout);
    CHECK(preamble_of({.value = 5ms}, 5ms, false) == preamble::none);
    CHECK(preamble_of({.value = 5ms}, 6ms, false) == preamble::set_timeout);
    CHECK(preamble_of({.value = 5ms}, 0ms, false) == preamble::reset_timeout);
    CHECK(preamble_of({.value = 5ms, .certain = false}, 5ms, false) == preamble::set_timeout);
    CHECK(preamble_of({.value = 0ms, .certain = false}, 0ms, false) == preamble::reset_timeout);
    CHECK(preamble_of({.value = 5ms}, 6ms, true) == preamble::none);
}

TEST_CASE("TO-3: this side gives the server a quarter of the time more, within bounds") {
    CHECK(grace_of(1ms) == 20ms);
    CHECK(grace_of(400ms) == 100ms);
    CHECK(grace_of(1h) == 250ms);
}

TEST_CASE("TO-5: a request that the server forgot is repeated soon, then ever later, within its budget") {
    CHECK(pause_before_request(1, 2s) == 15'625us);
    CHECK(pause_before_request(2, 2s) == 31'250us);
    std::chrono::microseconds all{0};
    for (unsigned asked = 1; asked <= 7; ++asked) {
        all += pause_before_request(asked, 2s);
    }
    CHECK(all < 2s);
    CHECK(pause_before_request(8, 2s) == 1s);
    CHECK(pause_before_request(1'000, 2s) == 1s);
}

}  // namespace
