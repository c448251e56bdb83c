#include "csv_reader.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"

#include <sstream>
#include <string>
#include <vector>

namespace {

using trunkline::stress::csv_reader;
using records = std::vector<std::vector<std::string>>;

struct outcome {
    records good;
    std::vector<std::size_t> bad_lines;
    std::vector<std::string> reasons;
};

outcome read_all(const std::string& text, std::size_t limit = csv_reader::default_record_limit) {
    std::istringstream in{text};
    csv_reader reader{in, limit};
    outcome read;
    REQUIRE(reader.read_header() == csv_reader::outcome::record);
    for (;;) {
        switch (reader.next()) {
        case csv_reader::outcome::end: return read;
        case csv_reader::outcome::record: read.good.emplace_back(reader.fields().begin(), reader.fields().end()); break;
        case csv_reader::outcome::malformed:
            read.bad_lines.push_back(reader.line());
            read.reasons.push_back(reader.reason());
            break;
        }
    }
}

}  // namespace

TEST_CASE("csv: well-formed records are read as RFC 4180 has them") {
    struct example {
        const char* name;
        std::string text;
        records expected;
    };
    const std::vector<example> examples{
        {"plain", "a,b\n1,2\n3,4\n", {{"1", "2"}, {"3", "4"}}},
        {"no newline at the end", "a,b\n1,2", {{"1", "2"}}},
        {"CRLF", "a,b\r\n1,2\r\n3,4\r\n", {{"1", "2"}, {"3", "4"}}},
        {"a comma in quotes", "a,b\n\"1,5\",2\n", {{"1,5", "2"}}},
        {"doubled quotes", "a,b\n\"say \"\"hi\"\"\",2\n", {{"say \"hi\"", "2"}}},
        {"only doubled quotes", "a,b\n\"\"\"\",\"\"\n", {{"\"", ""}}},
        {"LF in quotes", "a,b\n\"1\n\n2\",3\n", {{"1\n\n2", "3"}}},
        {"CRLF in quotes is kept", "a,b\n\"1\r\n2\",3\n", {{"1\r\n2", "3"}}},
        {"empty fields", "a,b\n,\n\"\",\n", {{"", ""}, {"", ""}}},
        {"a byte order mark",
         "\xEF\xBB\xBF"
         "a,b\n1,2\n",
         {{"1", "2"}}},
        {"a byte order mark before quotes", "\xEF\xBB\xBF\"a\",b\n1,2\n", {{"1", "2"}}},
        {"empty lines are no records", "a,b\n\n1,2\n\r\n\n3,4\n\n", {{"1", "2"}, {"3", "4"}}},
        {"a CR without LF is data", "a,b\nx\ry,2\n", {{"x\ry", "2"}}},
        {"a CR at the end of the file ends the line", "a,b\n1,2\r", {{"1", "2"}}},
        {"spaces belong to the field", "a,b\n 1 , 2\n", {{" 1 ", " 2"}}},
        {"UTF-8", "a,b\nüñ,\"漢\"\n", {{"üñ", "漢"}}},
        {"a header alone", "a,b\n", {}},
    };
    for (const auto& [name, text, expected] : examples) {
        CAPTURE(name);
        const auto read = read_all(text);
        CHECK(read.good == expected);
        CHECK(read.bad_lines.empty());
    }
}

TEST_CASE("csv: a malformed record is reported once with its line and reason, "
          "and the next one is found") {
    struct example {
        const char* name;
        std::string text;
        records good;
        std::vector<std::size_t> bad_lines;
        std::string reason;
    };
    const std::vector<example> examples{
        {"too few fields", "a,b\n1\n3,4\n", {{"3", "4"}}, {2}, "1 fields"},
        {"too many fields", "a,b\n1,2,3\n3,4\n", {{"3", "4"}}, {2}, "3 fields"},
        {"a quote inside a plain field", "a,b\n1,x\"y\n3,4\n", {{"3", "4"}}, {2}, "a quote stands inside"},
        {"text behind a closing quote", "a,b\n\"1\"x,2\n3,4\n", {{"3", "4"}}, {2}, "text follows"},
        {"a space behind a closing quote", "a,b\n\"1\" ,2\n3,4\n", {{"3", "4"}}, {2}, "text follows"},
        {"a CR behind a closing quote", "a,b\n\"1\"\r,2\n3,4\n", {{"3", "4"}}, {2}, "text follows"},
        {"a quote that is never closed", "a,b\n1,2\n\"3,4\n5,6\n", {{"1", "2"}, {"5", "6"}}, {3}, "never closed"},
        {"an unclosed quote that meets another",
         "a,b\n\"1,2\n\"3\",4\n5,6\n",
         {{"3", "4"}, {"5", "6"}},
         {2},
         "text follows"},
        {"prose after the damage is not reported again",
         "a,b\n1,\"x\"y\nmore text\nand more\n5,6\n",
         {{"5", "6"}},
         {2},
         ""},
        {"the last line", "a,b\n1,2\n3,\"4\n", {{"1", "2"}}, {3}, "never closed"},
        {"two in a row are two", "a,b\n1,\"x\"y\n2,\"z\"w\n5,6\n", {{"5", "6"}}, {2, 3}, "text follows"},
        {"each wrong count is reported", "a,b\n1\n2\n5,6\n", {{"5", "6"}}, {2, 3}, "1 fields"},
        {"lines inside quotes are counted",
         "a,b\n\"1\n2\n3\",4\nbad\n5,6\n",
         {{"1\n2\n3", "4"}, {"5", "6"}},
         {5},
         "1 fields"},
    };
    for (const auto& [name, text, good, bad_lines, reason] : examples) {
        CAPTURE(name);
        const auto read = read_all(text);
        CHECK(read.good == good);
        CHECK(read.bad_lines == bad_lines);
        REQUIRE_FALSE(read.reasons.empty());
        CHECK_THAT(read.reasons.front(), trunkline::test::has_text(reason));
    }
}

TEST_CASE("csv: a record over the limit is malformed and the reader goes on "
          "behind it") {
    const std::string giant(5'000, 'x');
    for (const auto& field : {giant, "\"" + giant + "\"", "\"" + giant + "\n" + giant + "\""}) {
        const auto read = read_all("a,b\n1,2\n3," + field + "\n4,5\n", 1'000);
        CHECK(read.good == records{{"1", "2"}, {"4", "5"}});
        CHECK(read.bad_lines == std::vector<std::size_t>{3});
        REQUIRE_FALSE(read.reasons.empty());
        CHECK_THAT(read.reasons.front(), trunkline::test::has_text("longer than 1000 bytes"));
    }
}

TEST_CASE("csv: a record of nothing but commas is bounded too") {
    const auto read = read_all("a,b\n" + std::string(5'000, ',') + "\n4,5\n", 1'000);
    CHECK(read.good == records{{"4", "5"}});
    CHECK(read.bad_lines == std::vector<std::size_t>{2});
}

TEST_CASE("csv: records that straddle the read buffer are whole") {
    // Fields of many lengths, so that every kind of boundary falls on the edge of
    // some chunk.
    std::string text = "a,b\n";
    records expected;
    for (std::size_t i = 0; i < 3'000; ++i) {
        const std::string field(i % 211, static_cast<char>('a' + i % 26));
        text += "\"" + field + "\"\"\n\",\"" + std::to_string(i) + "\"\r\n";
        expected.push_back({field + "\"\n", std::to_string(i)});
    }
    const auto read = read_all(text);
    CHECK(read.bad_lines.empty());
    CHECK(read.good == expected);
}

TEST_CASE("csv: a stream without a byte has no header, and columns are found "
          "by name") {
    std::istringstream nothing;
    csv_reader empty{nothing};
    CHECK(empty.read_header() == csv_reader::outcome::end);

    std::istringstream in{"x,y,z\n"};
    csv_reader reader{in};
    REQUIRE(reader.read_header() == csv_reader::outcome::record);
    CHECK(reader.column("y") == std::size_t{1});
    CHECK_FALSE(reader.column("nope").has_value());
    CHECK(reader.next() == csv_reader::outcome::end);
}
