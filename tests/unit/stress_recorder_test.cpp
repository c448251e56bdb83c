#include "failure_log.hpp"
#include "json_text.hpp"
#include "latency_recorder.hpp"
#include "numbers.hpp"
#include "search_terms.hpp"
#include "support/catch.hpp"

#include <boost/json/parse.hpp>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace trunkline::stress;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE("recorder: quantiles of what several threads recorded are right "
          "within two per cent") {
    latency_recorder recorder{2};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&recorder, t] {
            for (int i = 1; i <= 2'500; ++i) {
                recorder.record(std::chrono::microseconds{4 * i - t});
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const auto seen = recorder.snapshot();
    CHECK(seen.count == 10'000);
    CHECK(seen.longest == 10ms);
    for (const double q : {0.5, 0.9, 0.99, 0.999}) {
        const auto exact = std::chrono::duration<double, std::micro>(10'000 * q).count();
        const auto given = std::chrono::duration<double, std::micro>(seen.quantile(q)).count();
        CHECK(std::abs(given - exact) <= 0.02 * exact);
    }
    recorder.reset();
    CHECK(recorder.snapshot().count == 0);
}

TEST_CASE("failures: each kind keeps its count and its first message, and "
          "kinds are bounded") {
    failure_log failures;
    failures.add("sqlstate 57P01", "first words");
    failures.add("sqlstate 57P01", "other words");
    for (std::size_t i = 0; i < 2 * failure_log::max_kinds; ++i) {
        failures.add("kind " + std::to_string(i), "m");
    }
    const auto kinds = failures.kinds();
    CHECK(failures.count() == 2 + 2 * failure_log::max_kinds);
    CHECK(kinds.at("sqlstate 57P01").count == 2);
    CHECK(kinds.at("sqlstate 57P01").first == "first words");
    CHECK(kinds.size() == failure_log::max_kinds + 1);
    CHECK(kinds.at("other").count == failure_log::max_kinds + 1);
}

TEST_CASE("search terms: a title's words without stop words, short ones, "
          "numbers and doubles") {
    std::vector<std::string> words;
    split_into_words("What's the Best C++ Compiler for 64bit linux_kernel code? "
                     "Compiler, BEST! naïve déjà",
                     words);
    CHECK(words == std::vector<std::string>{"best", "compiler", "code"});
    split_into_words("", words);
    CHECK(words.empty());
}

TEST_CASE("search terms: the sample is bounded, the same for the same seed, "
          "and made of title words") {
    search_terms one{3};
    search_terms same{3};
    for (std::size_t i = 0; i < 3 * search_terms::sample; ++i) {
        const auto title = "alpha" + std::string(i % 7 + 1, 'x') + " beta" + std::string(i % 5 + 1, 'y') + " is";
        one.offer(title);
        same.offer(title);
    }
    one.offer("is it");
    CHECK(one.size() == search_terms::sample);
    for (std::uint64_t i = 0; i < search_terms::sample; ++i) {
        REQUIRE(one.pick(i) == same.pick(i));
        REQUIRE(one.pick(i).find(' ') != std::string::npos);
    }
}

TEST_CASE("numbers: they are written for people") {
    CHECK(with_commas(0) == "0");
    CHECK(with_commas(999) == "999");
    CHECK(with_commas(48'555) == "48,555");
    CHECK(with_commas(1'234'567) == "1,234,567");
    CHECK(short_time(123'456ns) == "0.12 ms");
    CHECK(short_time(12'345us) == "12.3 ms");
    CHECK(short_time(431ms) == "431 ms");
    CHECK(short_time(8'200ms) == "8.20 s");
}

TEST_CASE("json: the text is valid JSON with plain numbers") {
    const auto value =
        boost::json::parse(R"({"a":{"b":[1,2.5,1e3,0.000125]},"c":"say \"hi\"","d":{},"e":[],"f":null,"g":true})");
    const auto text = to_text(value);
    CHECK(boost::json::parse(text) == value);
    CHECK(text.find("1000.0") != std::string::npos);
    CHECK(text.find("0.000125") != std::string::npos);
}
