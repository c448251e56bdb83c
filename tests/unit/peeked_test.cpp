#include "pg/peeked.hpp"
#include "support/catch.hpp"
#include "support/wire.hpp"

#include <string>

// What is seen of messages that have not been read.
using namespace trunkline;
using namespace trunkline::test;

namespace {

const std::string error_message = wire::error_response({"ERROR", "22P02", "no number"});
const std::string notice = wire::notice_response({"WARNING", "01000", "EEEE SEEES"});

}  // namespace

TEST_CASE("an error is seen wherever it begins, once its first bytes have come") {
    CHECK(pg::holds_error(error_message));
    CHECK(pg::holds_error(error_message.substr(0, 6)));
    CHECK(pg::holds_error(notice + notice + error_message));
    CHECK(pg::holds_error(notice.substr(7) + error_message));
    CHECK(pg::holds_error(wire::parameter_status("TimeZone", "E") + error_message));
}

TEST_CASE("nothing else is taken for an error") {
    CHECK_FALSE(pg::holds_error(""));
    CHECK_FALSE(pg::holds_error(error_message.substr(0, 5)));
    CHECK_FALSE(pg::holds_error(error_message.substr(1)));
    CHECK_FALSE(pg::holds_error(notice + notice + notice));
    CHECK_FALSE(pg::holds_error(wire::parameter_status("E", "E") + notice));
    CHECK_FALSE(pg::holds_error(wire::command_complete("E") + wire::ready(wire::transaction::none)));
}
