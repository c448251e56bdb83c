#include "support/catch.hpp"
#include "support/lease_history.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace {

using trunkline::test::contradiction_in;
using trunkline::test::leasing;
using history = std::vector<leasing>;

bool says(const std::string& found, std::string_view words) { return found.find(words) != std::string::npos; }

//                     called, waiting, told, returned, session
const leasing first{1, 2, 3, 10, 71};

TEST_CASE("SA-6: a history that some order explains has no contradiction") {
    CHECK(contradiction_in({}, 1).empty());
    CHECK(contradiction_in({first, {4, 5, 11, 14, 71}, {6, 7, 15, 16, 71}}, 1).empty());
    // Who calls at the same time may be served in either order.
    CHECK(contradiction_in({first, {4, 6, 15, 16, 71}, {5, 7, 11, 14, 71}}, 1).empty());
    // The hand-over came in order, the news of it did not.
    CHECK(contradiction_in({first, {2, 3, 4, 11, 72}, {5, 6, 13, 20, 71}, {7, 8, 12, 21, 72}}, 2).empty());
    // Who gave up is in nobody's way.
    CHECK(contradiction_in({first, {4, 5, 12, 0, 0}, {6, 7, 11, 14, 71}}, 1).empty());
}

TEST_CASE("SA-6: a connection that two held is seen") {
    CHECK(says(contradiction_in({first, {4, 5, 9, 14, 71}}, 2), "still held"));
    CHECK(says(contradiction_in({{1, 2, 3, 0, 71}, {4, 5, 9, 14, 71}}, 2), "still held"));
}

TEST_CASE("SA-6: a place too many is seen") {
    CHECK(says(contradiction_in({first, {4, 5, 9, 14, 72}}, 1), "2 were held at once"));
}

TEST_CASE("SA-6: who is served before one who waited longer is seen, also where nobody was parked") {
    const leasing overtaken{4, 5, 15, 16, 71};
    CHECK(says(contradiction_in({first, overtaken, {6, 7, 11, 14, 71}}, 1), "was served before"));
    CHECK(says(contradiction_in({first, overtaken, {11, 11, 11, 14, 71}}, 1), "was served before"));
}

TEST_CASE("SA-6: a caller who is never told is seen") {
    CHECK(says(contradiction_in({first, {4, 5, 0, 0, 0}}, 1), "never told"));
}

}  // namespace
