#include "campaign.hpp"

#include <trunkline/result.hpp>

#include <boost/describe/class.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

// What the rows of a result cost as structs, beside a loop over libpq's functions. No server: the CPU alone.
namespace {

using namespace trunkline;
using namespace trunkline::test;

struct item {
    std::int32_t a = 0, b = 0, c = 0;
    std::int64_t d = 0, e = 0;
    double f = 0, g = 0;
    bool h = false;
    std::string i, j;
};
BOOST_DESCRIBE_STRUCT(item, (), (a, b, c, d, e, f, g, h, i, j))

constexpr int rows = 1'000;
constexpr int columns = 10;

template <typename Unsigned>
std::string big_endian(Unsigned value) {
    std::string bytes;
    for (int shift = 8 * (static_cast<int>(sizeof(Unsigned)) - 1); shift >= 0; shift -= 8) {
        bytes += static_cast<char>(value >> shift);
    }
    return bytes;
}

PGresult* make_rows() {
    PGresult* const data = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    constexpr Oid types[columns] = {23, 23, 23, 20, 20, 701, 701, 16, 25, 25};
    char names[columns][2] = {};
    PGresAttDesc described[columns] = {};
    for (int i = 0; i < columns; ++i) {
        names[i][0] = static_cast<char>('a' + i);
        described[i] = {names[i], 0, 0, 1, types[i], -1, -1};
    }
    PQsetResultAttrs(data, columns, described);
    for (int row = 0; row < rows; ++row) {
        const auto number = static_cast<std::uint32_t>(row);
        const std::string values[columns] = {big_endian(number),
                                             big_endian(number + 1),
                                             big_endian(number + 2),
                                             big_endian(std::uint64_t{number}),
                                             big_endian(std::uint64_t{number} << 32),
                                             big_endian(std::uint64_t{0x3ff0000000000000}),
                                             big_endian(std::uint64_t{0x4000000000000000}),
                                             std::string(1, '\1'),
                                             "a short one",
                                             "a text that is longer than what a std::string keeps in itself"};
        for (int i = 0; i < columns; ++i) {
            std::string copy = values[i];
            PQsetvalue(data, row, i, copy.data(), static_cast<int>(copy.size()));
        }
    }
    return data;
}

template <typename Unsigned>
Unsigned number_at(const PGresult* from, int row, int column) {
    if (PQgetisnull(from, row, column) != 0 || PQgetlength(from, row, column) != sizeof(Unsigned)) {
        return 0;
    }
    Unsigned value = 0;
    std::memcpy(&value, PQgetvalue(from, row, column), sizeof(value));
    if constexpr (sizeof(Unsigned) == 4) {
        return __builtin_bswap32(value);
    } else {
        return __builtin_bswap64(value);
    }
}

std::string text_at(const PGresult* from, int row, int column) {
    return PQgetisnull(from, row, column) != 0
               ? std::string{}
               : std::string(PQgetvalue(from, row, column), static_cast<std::size_t>(PQgetlength(from, row, column)));
}

std::vector<item> by_hand(const PGresult* from) {
    std::vector<item> all(static_cast<std::size_t>(PQntuples(from)));
    for (int row = 0; item & one : all) {
        one.a = static_cast<std::int32_t>(number_at<std::uint32_t>(from, row, 0));
        one.b = static_cast<std::int32_t>(number_at<std::uint32_t>(from, row, 1));
        one.c = static_cast<std::int32_t>(number_at<std::uint32_t>(from, row, 2));
        one.d = static_cast<std::int64_t>(number_at<std::uint64_t>(from, row, 3));
        one.e = static_cast<std::int64_t>(number_at<std::uint64_t>(from, row, 4));
        one.f = std::bit_cast<double>(number_at<std::uint64_t>(from, row, 5));
        one.g = std::bit_cast<double>(number_at<std::uint64_t>(from, row, 6));
        one.h = PQgetisnull(from, row, 7) == 0 && *PQgetvalue(from, row, 7) != 0;
        one.i = text_at(from, row, 8);
        one.j = text_at(from, row, 9);
        ++row;
    }
    return all;
}

/// CPU of the quickest of many runs: what else the machine does falls on the others.
template <typename Work>
std::chrono::nanoseconds quickest(Work work) {
    const auto now = [] {
        timespec t{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
    };
    auto best = std::chrono::nanoseconds::max();
    for (auto runs = campaign::scaled(2'000, 50); runs > 0; --runs) {
        const auto begin = now();
        const auto all = work();
        best = std::min<std::chrono::nanoseconds>(best, now() - begin);
        REQUIRE(all.size() == rows);
    }
    return best;
}

}  // namespace

TEST_CASE("a thousand rows of ten columns cost at most 1.15 times as much as structs as by hand") {
    PGresult* const data = make_rows();
    const result owned{data};
    const auto ours = owned.into<item>();
    const auto theirs = by_hand(data);
    for (std::size_t i = 0; i < rows; ++i) {
        REQUIRE(ours[i].a == theirs[i].a);
        REQUIRE(ours[i].e == theirs[i].e);
        REQUIRE(ours[i].g == theirs[i].g);
        REQUIRE(ours[i].h == theirs[i].h);
        REQUIRE(ours[i].j == theirs[i].j);
    }
    const auto hand = quickest([&] { return by_hand(data); });
    const auto into = quickest([&] { return owned.into<item>(); });
    const auto ratio = static_cast<double>(into.count()) / static_cast<double>(hand.count());
    WARN("a thousand rows of ten columns: by hand " << hand.count() / 1'000 << " us, into structs "
                                                    << into.count() / 1'000 << " us, " << ratio << " times as much");
    CHECK(ratio <= (campaign::full() ? 1.15 : 20.0));
}
