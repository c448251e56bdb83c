#include "pooled_connection.hpp"
#include "support/catch.hpp"
#include "transaction_state.hpp"

namespace {

using trunkline::detail::transaction_state;

trunkline::detail::loose_connection connection;  // nothing is sent on it

}  // namespace

TEST_CASE("levels are called by their depth, and the outermost is the transaction itself") {
    transaction_state state{connection};
    CHECK(state.is_empty());
    const auto outer = state.open(false);
    const auto inner = state.open(true);
    const auto deepest = state.open(true);
    CHECK(state.savepoint(outer).empty());
    CHECK(state.savepoint(inner) == "trunkline_1");
    CHECK(state.savepoint(deepest) == "trunkline_2");
    CHECK(state.is_innermost(deepest));
    CHECK_FALSE(state.is_innermost(inner));

    state.end_all();
    const auto inside = state.open(true);  // of a transaction that no guard has begun
    const auto further = state.open(true);
    CHECK(state.savepoint(inside) == "trunkline_1");
    CHECK(state.savepoint(further) == "trunkline_2");
}

TEST_CASE("an abandoned level is open no more, nor is what is inside it, and its rollback is owed once") {
    transaction_state state{connection};
    const auto outer = state.open(false);
    const auto middle = state.open(true);
    const auto inner = state.open(true);
    CHECK(state.owed() == state.none);
    state.abandon(inner);
    state.abandon(middle);
    state.abandon(inner);  // the debt is no smaller for that
    CHECK(state.owed() == middle);
    CHECK(state.is_innermost(outer));
    CHECK_FALSE(state.is_open(middle));
    CHECK_FALSE(state.is_open(inner));
    state.end(middle);
    CHECK(state.owed() == state.none);
    CHECK(state.is_open(outer));
    state.abandon(middle);  // its guard dies only now
    CHECK(state.owed() == state.none);
    state.end(outer);
    CHECK(state.is_empty());
}

TEST_CASE("a rollback that has been paid leaves the debt that has come meanwhile") {
    transaction_state state{connection};
    const auto outer = state.open(false);
    const auto inner = state.open(true);
    state.abandon(inner);
    state.abandon(outer);
    state.end(inner);
    CHECK(state.owed() == outer);
}

TEST_CASE("a level's number is never another's") {
    transaction_state state{connection};
    const auto first = state.open(false);
    const auto second = state.open(true);
    state.end_all();
    const auto third = state.open(false);
    const auto fourth = state.open(true);
    CHECK_FALSE(state.is_open(first));
    CHECK_FALSE(state.is_open(second));
    state.abandon(second);  // as deep as the fourth, and long gone
    CHECK(state.is_open(fourth));
    CHECK(state.is_open(third));
}
