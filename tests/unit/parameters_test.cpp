#include "support/catch.hpp"

#include <trunkline/error.hpp>
#include <trunkline/parameters.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace trunkline;

std::vector<int> bytes_of(const parameters& from, std::size_t index) {
    const auto& one = from.entries()[index];
    std::vector<int> bytes;
    for (std::int32_t i = 0; i < one.length; ++i) {
        bytes.push_back(std::to_integer<int>(from.bytes()[one.offset + static_cast<std::size_t>(i)]));
    }
    return bytes;
}

TEST_CASE("integers take the smallest type of the server's that holds theirs, big-endian") {
    parameters all;
    all.add(std::int16_t{-2})
        .add(std::int32_t{258})
        .add(std::int64_t{-1})
        .add(std::uint8_t{200})
        .add(std::uint16_t{65'535})
        .add(std::uint32_t{4'294'967'295U});
    CHECK(all.entries()[0].type == 21);
    CHECK(bytes_of(all, 0) == std::vector{255, 254});
    CHECK(all.entries()[1].type == 23);
    CHECK(bytes_of(all, 1) == std::vector{0, 0, 1, 2});
    CHECK(all.entries()[2].type == 20);
    CHECK(bytes_of(all, 2) == std::vector(8, 255));
    CHECK(all.entries()[3].type == 21);
    CHECK(bytes_of(all, 3) == std::vector{0, 200});
    CHECK(all.entries()[4].type == 23);
    CHECK(bytes_of(all, 4) == std::vector{0, 0, 255, 255});
    CHECK(all.entries()[5].type == 20);
    CHECK(bytes_of(all, 5) == std::vector{0, 0, 0, 0, 255, 255, 255, 255});
}

TEST_CASE("text is followed by a NUL that does not count, and its type is the server's to infer") {
    parameters all;
    all.add("abc").add(std::string{}).add(std::string_view{"de"});
    CHECK(all.size() == 3);
    for (const auto& one : all.entries()) {
        CHECK(one.type == 0);
        CHECK_FALSE(one.binary);
        CHECK(all.bytes()[one.offset + static_cast<std::size_t>(one.length)] == std::byte{0});
    }
    CHECK(bytes_of(all, 0) == std::vector<int>{'a', 'b', 'c'});
    CHECK(all.entries()[1].length == 0);
    CHECK(bytes_of(all, 2) == std::vector<int>{'d', 'e'});
}

TEST_CASE("NULL has no length, whatever it is written as") {
    parameters all;
    all.add(nullptr).add(std::nullopt).add(std::optional<int>{}).add(std::optional<int>{7});
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(all.entries()[i].length == -1);
    }
    CHECK(bytes_of(all, 3) == std::vector{0, 0, 0, 7});
    all.clear();
    CHECK(all.empty());
}

TEST_CASE("times count microseconds from 2000, and are rounded down") {
    using namespace std::chrono;
    parameters all;
    all.add(system_clock::time_point{seconds{946'684'800}})
        .add(sys_time<nanoseconds>{seconds{946'684'800} - nanoseconds{1}});
    CHECK(all.entries()[0].type == 1184);
    CHECK(bytes_of(all, 0) == std::vector(8, 0));
    CHECK(bytes_of(all, 1) == std::vector(8, 255));
}

TEST_CASE("bytes are bytea, also when there are none") {
    const std::array some{std::byte{0}, std::byte{9}};
    parameters all;
    all.add(std::span<const std::byte>{some}).add(std::span<const std::byte>{});
    CHECK(all.entries()[0].type == 17);
    CHECK(bytes_of(all, 0) == std::vector{0, 9});
    CHECK(all.entries()[1].length == 0);
    CHECK(all.entries()[1].binary);
}

TEST_CASE("a parameter beyond what the protocol can say is refused") {
    parameters all;
    const std::span<const std::byte> huge{reinterpret_cast<const std::byte*>(&all),
                                          std::size_t{1} << 31};  // never read
    CHECK_THROWS_AS(all.add_binary(17, huge), error);
    CHECK(all.empty());
}

}  // namespace
