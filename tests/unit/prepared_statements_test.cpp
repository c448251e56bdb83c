#include "pg/known_statements.hpp"
#include "pg/prepared_statements.hpp"
#include "pg/session_policy.hpp"
#include "pg/statement_class.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <string>

namespace {

using namespace trunkline;
using namespace trunkline::pg;
using namespace std::chrono_literals;

constexpr bool at_rest = true;
constexpr bool in_transaction = false;

/// One session's choices, of statements without parameters.
struct chooser {
    explicit chooser(known_statements& of) : pool{of} {}

    prepared_statements::choice operator()(const std::string& sql, bool rest = at_rest) {
        return session.choose(sql, values.entries(), rest, limits, pool);
    }

    known_statements& pool;
    prepared_statements session{};
    parameters values{};
    prepare_limits limits{.after_uses = 3, .max_statements = 2};
};

}  // namespace

TEST_CASE("PS-7: a statement is prepared when the pool has seen it often enough, in whichever session") {
    known_statements pool;
    chooser first{pool};
    chooser second{pool};
    CHECK(first("SELECT 1").how == way::unnamed);
    CHECK(second("SELECT 1").how == way::unnamed);
    const auto third = second("SELECT 1");
    CHECK(third.how == way::prepare);
    CHECK(second("SELECT 1").how == way::prepared);
    const auto elsewhere = first("SELECT 1");
    CHECK(elsewhere.how == way::prepare);
    CHECK(elsewhere.what == third.what);
    first.limits.after_uses = 0;
    for (int i = 0; i < 10; ++i) {
        CHECK(first("SELECT 2").how == way::unnamed);
    }
}

TEST_CASE("PS-2: a statement has the same name everywhere, and other types of parameters make it another one") {
    known_statements pool;
    known_statements another_pool;
    parameters number;
    number.add(1);
    parameters text;
    text.add("one");
    const std::string sql = "SELECT $1";
    const auto name_in = [&](known_statements& of, const parameters& values) {
        const auto known = of.meet(hash_of(sql, values.entries()), sql, values.entries());
        REQUIRE(known);
        return known->name;
    };
    CHECK(name_in(pool, number) == name_in(another_pool, number));
    CHECK(name_in(pool, number) != name_in(pool, text));
    CHECK(name_in(pool, number).size() == 34);
}

TEST_CASE("PS-1: the least recently used statement makes room, at rest only") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1;
    CHECK(choose("SELECT 1").how == way::prepare);
    CHECK(choose("SELECT 2").how == way::prepare);
    CHECK(choose("SELECT 1").how == way::prepared);
    CHECK(choose("SELECT 3", in_transaction).how == way::unnamed);
    const auto third = choose("SELECT 3");
    CHECK(third.how == way::prepare);
    REQUIRE(third.closed);
    CHECK(third.closed->sql == "SELECT 2");
    CHECK(choose("SELECT 1").how == way::prepared);
    CHECK(choose.session.size() == 2);
    choose.limits.max_statements = 1;  // lowered live: the next that is prepared drives one out, and no more come
    CHECK(choose("SELECT 4").closed->sql == "SELECT 3");
    CHECK(choose.session.size() == 2);
}

TEST_CASE("what is forgotten is prepared again, and what is in doubt is closed first") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1;
    auto* const known = choose("SELECT 1").what;
    choose.session.forget(*known);
    CHECK(choose("SELECT 1").how == way::prepare);
    choose.session.doubt(*known);
    CHECK(choose("SELECT 1", in_transaction).how == way::unnamed);
    const auto again = choose("SELECT 1");
    CHECK(again.how == way::prepare);
    CHECK(again.closed.get() == known);
    CHECK(choose("SELECT 1").how == way::prepared);
    CHECK(choose("SELECT 2").how == way::prepare);
    choose.session.doubt_all();
    CHECK(choose("SELECT 2", in_transaction).how == way::unnamed);
    CHECK(choose("SELECT 2").closed != nullptr);
    choose.session.clear();
    CHECK(choose.session.size() == 0);
    CHECK(choose("SELECT 1").how == way::prepare);
    CHECK(choose("SELECT 2").how == way::prepare);
}

TEST_CASE("PS-6: a statement whose time is over is prepared anew, with its 64th use") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1;
    choose.limits.ttl = 1ms;
    CHECK(choose("SELECT 1").how == way::prepare);
    constexpr int most = 100'000'000;  // far more than a millisecond of them
    int uses = 0;
    prepared_statements::choice chosen;
    do {
        chosen = choose("SELECT 1");
        ++uses;
    } while (chosen.how == way::prepared && uses < most);
    CHECK(chosen.how == way::prepare);
    CHECK(chosen.closed.get() == chosen.what);
    CHECK(uses % 64 == 0);
    CHECK(choose("SELECT 1").how == way::prepared);
}

TEST_CASE("a session remembers few of the statements that it runs once, and a pool a thousand; long ones none does") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1'000'000;
    for (int i = 0; i < 3'000; ++i) {
        CHECK(choose("SELECT " + std::to_string(i)).how == way::unnamed);
    }
    CHECK(pool.most_used(10'000, 1).size() == 1'024);
    CHECK(choose("SELECT '" + std::string(known_statements::longest_text, 'x') + "'").what == nullptr);
}

TEST_CASE("those that are used most are known, the most used first") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1'000'000;
    for (const auto& [sql, uses] :
         {std::pair{"SELECT 1", 5}, std::pair{"SELECT 2", 9}, std::pair{"SELECT 3", 2}, std::pair{"LISTEN x", 20}}) {
        for (int i = 0; i < uses; ++i) {
            (void)choose(sql);
        }
    }
    auto most = pool.most_used(5, 3);
    REQUIRE(most.size() == 2);
    CHECK(most[0]->sql == "SELECT 2");
    CHECK(most[1]->sql == "SELECT 1");
    CHECK(pool.most_used(1, 1).size() == 1);
    most[0]->unfit_to_warm = true;
    CHECK(pool.most_used(1, 1)[0]->sql == "SELECT 1");
}

TEST_CASE("PS-3: a statement that is used stays known, however many others come once") {
    known_statements pool;
    chooser choose{pool};
    choose.limits.after_uses = 1;
    choose.limits.max_statements = 1'000'000;
    for (int i = 0; i < 3'000; ++i) {
        (void)choose("SELECT 'often'");
        (void)choose("SELECT " + std::to_string(i));
        (void)choose("SELECT -" + std::to_string(i));
    }
    const auto most = pool.most_used(1, 100);
    REQUIRE(most.size() == 1);
    CHECK(most[0]->sql == "SELECT 'often'");
}

TEST_CASE("what reads or writes rows is worth preparing, and DEALLOCATE and DISCARD forget") {
    for (const auto* const sql : {"SELECT 1", " /* a */ (select 1)", "insert into t values (1)", "UPDATE t SET a = 1",
                                  "DELETE FROM t", "WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "TABLE t"}) {
        INFO(sql);
        CHECK(is_preparable(sql));
        CHECK_FALSE(forgets_prepared(sql));
    }
    for (const auto* const sql : {"", "BEGIN", "COMMIT", "SET a = 1", "COPY t FROM stdin", "VACUUM", "LISTEN x", "1"}) {
        INFO(sql);
        CHECK_FALSE(is_preparable(sql));
    }
    CHECK(forgets_prepared("deallocate all"));
    CHECK(forgets_prepared("DEALLOCATE PREPARE ALL"));
    for (const auto* const sql : {"DEALLOCATE mine", "DEALLOCATE PREPARE mine", "DISCARD TEMP", "DISCARD PLANS"}) {
        INFO(sql);
        CHECK_FALSE(forgets_prepared(sql));
    }
    CHECK(forgets_prepared("DISCARD ALL"));
}

TEST_CASE("PS-5: a pooler is known by the number of its process") {
    CHECK_FALSE(is_poolers(1));
    CHECK_FALSE(is_poolers(4'194'304));
    CHECK(is_poolers(4'194'305));
    CHECK(is_poolers(-7));
    CHECK(is_poolers(0));
}
