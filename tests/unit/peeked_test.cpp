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

TEST_CASE("an error is seen at the beginning, and behind notices and parameters that are whole") {
    CHECK(pg::begins_with_error(error_message));
    CHECK(pg::begins_with_error(error_message.substr(0, 6)));
    CHECK(pg::begins_with_error(notice + notice + error_message));
    CHECK(pg::begins_with_error(wire::parameter_status("TimeZone", "UTC") + error_message));
}

TEST_CASE("nothing else is taken for an error, wherever it begins") {
    CHECK_FALSE(pg::begins_with_error(""));
    CHECK_FALSE(pg::begins_with_error(error_message.substr(0, 5)));
    CHECK_FALSE(pg::begins_with_error(wire::ready(wire::transaction::none) + error_message));
    CHECK_FALSE(pg::begins_with_error(wire::command_complete("COPY 1") + error_message));
    for (std::size_t at = 0; at < notice.size(); ++at) {
        CHECK_FALSE(pg::begins_with_error(notice.substr(at)));
    }
    for (std::size_t at = 1; at < error_message.size(); ++at) {
        CHECK_FALSE(pg::begins_with_error(error_message.substr(at)));
    }
    CHECK_FALSE(pg::begins_with_error(std::string{"N\xff\xff\xff\xff", 5} + error_message));
    CHECK_FALSE(pg::begins_with_error(std::string{"E\0\x01\0\0S", 6}));
    CHECK_FALSE(pg::begins_with_error(std::string{"N\0\0\0\0", 5} + error_message));
}
