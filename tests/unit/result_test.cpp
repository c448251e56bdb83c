#include "support/catch.hpp"

#include <trunkline/result.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>

namespace {

using namespace trunkline;

/// A result of one row and one column "v".
result one_value(Oid type, std::string bytes, bool null = false) {
    PGresult* const data = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    char name[] = "v";
    PGresAttDesc column{name, 0, 0, 1, type, -1, -1};
    PQsetResultAttrs(data, 1, &column);
    PQsetvalue(data, 0, 0, null ? nullptr : bytes.data(), null ? -1 : static_cast<int>(bytes.size()));
    return result{data};
}

std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) {
        text += static_cast<char>(value);
    }
    return text;
}

template <typename T>
pool_errc refusal(const result& from, std::string* words = nullptr) {
    try {
        (void)from[0].get<T>(0);
    } catch (const error& thrown) {
        if (words != nullptr) {
            *words = thrown.what();
        }
        CHECK(thrown.code().category() == pool_category());
        return static_cast<pool_errc>(thrown.code().value());
    }
    return {};
}

constexpr Oid boolean = 16, int8 = 20, int2 = 21, int4 = 23, text = 25, oid = 26, float4 = 700, numeric = 1700,
              timestamptz = 1184, jsonb = 3802, user_type = 16'400;

TEST_CASE("integers of every width are read into what holds them") {
    CHECK(one_value(int2, bytes({255, 254}))[0].get<int>(0) == -2);
    CHECK(one_value(int4, bytes({0, 0, 1, 0}))[0].get<std::int16_t>(0) == 256);
    CHECK(one_value(int8, bytes({255, 255, 255, 255, 255, 255, 255, 255}))[0].get<std::int64_t>(0) == -1);
    CHECK(one_value(oid, bytes({255, 255, 255, 255}))[0].get<std::uint32_t>(0) == 4'294'967'295U);
}

TEST_CASE("what does not fit is refused with the column, its type and the range") {
    std::string words;
    CHECK(refusal<std::int8_t>(one_value(int2, bytes({1, 0})), &words) == pool_errc::value_out_of_range);
    CHECK(words.find("column \"v\" of type smallint holds 256") != std::string::npos);
    CHECK(words.find("-128 to 127") != std::string::npos);
    CHECK(refusal<std::uint16_t>(one_value(int4, bytes({255, 255, 255, 255}))) == pool_errc::value_out_of_range);
    CHECK(refusal<int>(one_value(numeric, bytes({0, 0})), &words) == pool_errc::wrong_type);
    CHECK(words.find("of type numeric cannot be read as an integer") != std::string::npos);
    CHECK(refusal<int>(one_value(int4, bytes({0, 0}))) == pool_errc::wrong_type);
    CHECK(refusal<bool>(one_value(int4, bytes({0, 0, 0, 1}))) == pool_errc::wrong_type);
    CHECK(refusal<float>(one_value(text, "1.5")) == pool_errc::wrong_type);
    CHECK(refusal<std::string>(one_value(int4, bytes({0, 0, 0, 1})), &words) == pool_errc::wrong_type);
    CHECK(words.find("integer cannot be read as text") != std::string::npos);
}

TEST_CASE("NULL needs an optional") {
    CHECK(refusal<int>(one_value(int4, "", true)) == pool_errc::unexpected_null);
    CHECK(one_value(int4, "", true)[0].get<std::optional<int>>(0) == std::nullopt);
    CHECK(one_value(text, "")[0].get<std::optional<std::string>>(0) == "");
}

TEST_CASE("text is read from text types, from jsonb without its version, and from users' types that hold no NUL") {
    CHECK(one_value(text, "abc")[0].get<std::string_view>(0) == "abc");
    CHECK(one_value(jsonb, "\1[1]")[0].get<std::string>(0) == "[1]");
    CHECK(refusal<std::string>(one_value(jsonb, "\2[1]")) == pool_errc::wrong_type);
    CHECK(one_value(user_type, "happy")[0].get<std::string>(0) == "happy");
    std::string words;
    CHECK(refusal<std::string>(one_value(user_type, bytes({0, 0, 0, 1})), &words) == pool_errc::wrong_type);
    CHECK(words.find("type 16400") != std::string::npos);
}

TEST_CASE("times that the system's clock cannot hold are out of range, infinity too") {
    using std::chrono::system_clock;
    CHECK(one_value(timestamptz, bytes({0, 0, 0, 0, 0, 0, 0, 1}))[0].get<system_clock::time_point>(0) ==
          system_clock::time_point{std::chrono::microseconds{946'684'800'000'001}});
    CHECK(refusal<system_clock::time_point>(one_value(timestamptz, bytes({127, 255, 255, 255, 255, 255, 255, 255}))) ==
          pool_errc::value_out_of_range);
    CHECK(refusal<system_clock::time_point>(one_value(timestamptz, bytes({128, 0, 0, 0, 0, 0, 0, 0}))) ==
          pool_errc::value_out_of_range);
}

TEST_CASE("floats and bools are read") {
    CHECK(one_value(float4, bytes({63, 192, 0, 0}))[0].get<double>(0) == 1.5);
    CHECK(one_value(float4, bytes({63, 192, 0, 0}))[0].get<float>(0) == 1.5F);
    CHECK(one_value(boolean, bytes({1}))[0].get<bool>(0));
}

TEST_CASE("a column that is not there is named, with those that are") {
    const result got = one_value(int4, bytes({0, 0, 0, 1}));
    CHECK(got[0].get<int>("v") == 1);
    try {
        (void)got[0].get<int>("V");
        FAIL("no error");
    } catch (const error& thrown) {
        CHECK(thrown.code() == pool_errc::no_such_column);
        CHECK(std::string{thrown.what()}.find("the result has v") != std::string::npos);
    }
    CHECK_THROWS_AS(got[0][1], error);
    CHECK_THROWS_AS(got.column_name(1), error);
}

TEST_CASE("a result of nothing has nothing") {
    const result none;
    CHECK(none.empty());
    CHECK(none.columns() == 0);
    CHECK(none.rows_affected() == 0);
    CHECK(none.command_tag().empty());
    CHECK(none.begin() == none.end());
}

}  // namespace
