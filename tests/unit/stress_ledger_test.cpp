#include "ledger.hpp"
#include "support/catch.hpp"

namespace {

using trunkline::stress::ledger;
using trunkline::stress::write_outcome;

}  // namespace

TEST_CASE("ledger: acknowledged updates that are there are found") {
    ledger book{2};
    book.update_ended(0, write_outcome::acknowledged);
    book.update_ended(0, write_outcome::acknowledged);
    book.update_ended(1, write_outcome::refused);
    book.audit_updates(0, 2);
    book.audit_updates(1, 0);
    const auto counts = book.close();
    CHECK(counts.acknowledged == 2);
    CHECK(counts.found == 2);
    CHECK(counts.lost == 0);
    CHECK(counts.unexpected == 0);
}

TEST_CASE("ledger: a missing point is a lost write") {
    ledger book{1};
    for (int i = 0; i < 5; ++i) {
        book.update_ended(0, write_outcome::acknowledged);
    }
    book.audit_updates(0, 3);
    const auto counts = book.close();
    CHECK(counts.lost == 2);
    CHECK(counts.found == 3);
}

TEST_CASE("ledger: an update of unknown outcome may be there or not, and is "
          "never lost") {
    for (const int points : {1, 2, 3}) {
        CAPTURE(points);
        ledger book{1};
        book.update_ended(0, write_outcome::acknowledged);
        book.update_ended(0, write_outcome::unknown);
        book.update_ended(0, write_outcome::unknown);
        book.audit_updates(0, points);
        const auto counts = book.close();
        CHECK(counts.lost == 0);
        CHECK(counts.unexpected == 0);
        CHECK(counts.unknown == 2);
    }
}

TEST_CASE("ledger: a point that nobody gave is unexpected") {
    ledger book{1};
    book.update_ended(0, write_outcome::acknowledged);
    book.update_ended(0, write_outcome::refused);
    book.audit_updates(0, 2);
    const auto counts = book.close();
    CHECK(counts.unexpected == 1);
    CHECK(counts.lost == 0);
}

TEST_CASE("ledger: a post that is gone has lost its points, and itself") {
    ledger book{2};
    book.update_ended(0, write_outcome::acknowledged);
    book.update_ended(0, write_outcome::acknowledged);
    book.audit_updates(0, std::nullopt);
    book.audit_updates(1, std::nullopt);
    CHECK(book.close().lost == 3);
}

TEST_CASE("ledger: every acknowledged insert is looked for") {
    ledger book{0};
    for (std::uint64_t i = 0; i < 100; ++i) {
        REQUIRE(book.begin_insert() == i);
        book.insert_ended(i, write_outcome::acknowledged);
    }
    for (std::uint64_t i = 0; i < 100; ++i) {
        if (i != 31 && i != 64) {
            book.audit_insert(i);
        }
    }
    const auto counts = book.close();
    CHECK(counts.acknowledged == 100);
    CHECK(counts.lost == 2);
    CHECK(counts.found == 98);
}

TEST_CASE("ledger: an insert of unknown outcome may be there, a refused one "
          "may not") {
    ledger book{0};
    for (const auto outcome :
         {write_outcome::unknown, write_outcome::unknown, write_outcome::refused, write_outcome::refused}) {
        const auto number = book.begin_insert();
        REQUIRE(number.has_value());
        book.insert_ended(*number, outcome);
    }
    book.audit_insert(0);
    book.audit_insert(2);
    const auto counts = book.close();
    CHECK(counts.lost == 0);
    CHECK(counts.unknown == 2);
    CHECK(counts.unexpected == 1);
}

TEST_CASE("ledger: a post that nobody inserted, or that is there twice, is "
          "unexpected") {
    ledger book{0};
    REQUIRE(book.begin_insert() == std::uint64_t{0});
    book.insert_ended(0, write_outcome::acknowledged);
    book.audit_insert(0);
    book.audit_insert(0);
    book.audit_insert(5'000);
    const auto counts = book.close();
    CHECK(counts.lost == 0);
    CHECK(counts.unexpected == 2);
}
