#include "support/catch.hpp"

#include <trunkline/histogram.hpp>

#include <cmath>
#include <memory>
#include <utility>

namespace {

using namespace trunkline;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using scale = histogram_scale;

constexpr nanoseconds highest{(std::int64_t{1} << (scale::highest_bit + scale::unit_bits)) - 1};

/// From 1 ns to the top of the scale, about a thousand an octave.
template <class Look>
void for_many_durations(Look&& look) {
    for (double ns = 1; ns < static_cast<double>(highest.count()); ns *= 1.0007) {
        look(nanoseconds{static_cast<std::int64_t>(ns)});
    }
    look(highest);
}

}  // namespace

TEST_CASE("the buckets cover the scale without a gap and in order") {
    CHECK(scale::lower_bound(0) == 0ns);
    for (std::size_t i = 0; i + 1 < scale::buckets; ++i) {
        REQUIRE(scale::lower_bound(i) < scale::lower_bound(i + 1));
        REQUIRE(scale::bucket_of(scale::lower_bound(i)) == i);
        REQUIRE(scale::bucket_of(scale::lower_bound(i + 1) - 1ns) == i);
    }
    CHECK(scale::bucket_of(scale::lower_bound(scale::buckets - 1)) == scale::buckets - 1);
}

TEST_CASE("a bucket's middle is within 1.6 per cent of what was measured, or within 64 ns") {
    for_many_durations([](nanoseconds value) {
        const auto middle = scale::middle(scale::bucket_of(value));
        const auto error = std::abs(static_cast<double>((middle - value).count()));
        if (error > 64 && scale::bucket_of(value) + 1 < scale::buckets) {
            REQUIRE(error <= 0.016 * static_cast<double>(value.count()));
        }
    });
}

TEST_CASE("what is off the scale counts in the bucket at its end") {
    CHECK(scale::bucket_of(-1ns) == 0);
    CHECK(scale::bucket_of(nanoseconds::min()) == 0);
    CHECK(scale::bucket_of(0ns) == 0);
    CHECK(scale::bucket_of(highest) == scale::buckets - 1);
    CHECK(scale::bucket_of(highest + 1ns) == scale::buckets - 1);
    CHECK(scale::bucket_of(nanoseconds::max()) == scale::buckets - 1);
}

TEST_CASE("an empty histogram has no quantile and no mean") {
    const auto h = std::make_unique<histogram_snapshot>();
    for (const double q : {0.0, 0.5, 1.0}) {
        CHECK(h->quantile(q) == 0ns);
    }
    CHECK(h->mean() == 0ns);
}

TEST_CASE("one duration is every quantile, and never more than was measured") {
    for (const nanoseconds value : {nanoseconds{100us}, nanoseconds{20ms}, nanoseconds{3s}}) {
        const auto h = std::make_unique<histogram_snapshot>();
        h->record(value);
        for (const double q : {-1.0, 0.0, 0.001, 0.5, 0.999, 1.0, 7.0}) {
            CHECK(h->quantile(q) <= value);
            CHECK(h->quantile(q) >= value * 984 / 1000);
        }
        CHECK(h->mean() == value);
        CHECK(h->longest == value);
    }
}

TEST_CASE("the quantiles of a thousand known durations are within 1.6 per cent") {
    const auto h = std::make_unique<histogram_snapshot>();
    for (int i = 1000; i >= 1; --i) {
        h->record(i * 1ms);
    }
    const std::pair<double, int> expected[] = {{0.0, 1},    {0.001, 1},   {0.5, 500}, {0.9, 900},
                                               {0.99, 990}, {0.999, 999}, {1.0, 1000}};
    for (const auto& [q, ms] : expected) {
        INFO(q);
        const double found = static_cast<double>(h->quantile(q).count()) / 1e6;
        CHECK(std::abs(found - ms) <= 0.016 * ms);
    }
    CHECK(h->mean() == 500'500us);
    CHECK(h->count == 1000);
}

TEST_CASE("a quantile is the duration that this share did not exceed") {
    const auto h = std::make_unique<histogram_snapshot>();
    for (int i = 0; i < 99; ++i) {
        h->record(1ms);
    }
    h->record(1s);
    CHECK(h->quantile(0.99) < 2ms);
    CHECK(h->quantile(0.991) > 900ms);
}

TEST_CASE("merged histograms are the histogram of all") {
    const auto a = std::make_unique<histogram_snapshot>();
    const auto b = std::make_unique<histogram_snapshot>();
    const auto both = std::make_unique<histogram_snapshot>();
    std::int64_t n = 0;
    for_many_durations([&](nanoseconds value) {
        (++n % 3 == 0 ? *a : *b).record(value);
        both->record(value);
    });
    a->merge(*b);
    CHECK(a->count == both->count);
    CHECK(a->sum == both->sum);
    CHECK(a->longest == both->longest);
    CHECK(a->counts == both->counts);
}

TEST_CASE("a merge with an empty histogram changes nothing") {
    const auto a = std::make_unique<histogram_snapshot>();
    a->record(5ms);
    const auto before = std::make_unique<histogram_snapshot>(*a);
    a->merge(histogram_snapshot{});
    CHECK(a->count == before->count);
    CHECK(a->counts == before->counts);
    CHECK(a->longest == before->longest);
}

TEST_CASE("a negative duration counts as none") {
    const auto h = std::make_unique<histogram_snapshot>();
    h->record(-5s);
    CHECK(h->count == 1);
    CHECK(h->sum == 0ns);
    CHECK(h->longest == 0ns);
    CHECK(h->quantile(0.5) == 0ns);
}
