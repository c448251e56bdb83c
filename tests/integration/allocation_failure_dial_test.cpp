#include "allocation_trial.hpp"
#include "support/catch.hpp"

namespace {

namespace asio = boost::asio;
using namespace trunkline;
using namespace trunkline::test;

}  // namespace

TEST_CASE("SA-8: without memory an acquire that waits for a dial ends, and no slot is lost") {
    exhaust("acquire and dial", {.attempt = acquire_once});
}

TEST_CASE("SA-8: without memory a callback that waits for a dial is called, and no slot is lost") {
    exhaust("callback and dial", {.attempt = call_back_once, .threads = whose::this_thread});
}

TEST_CASE("SA-8: without memory for a while, acquires that wait for dials end, and no slot is lost") {
    const auto both = [](trial& on) {
        on.acquire_by_coroutine({});
        on.acquire({});
        on.drive_to_the_end();
    };
    exhaust("dials, ten failures in a row", {.attempt = both, .failures = 10});
}

TEST_CASE("SA-8: without memory several callers who wait for dials are called, and no slot is lost") {
    const auto all = [](trial& on) {
        for (std::size_t i = 0; i < on.max; ++i) {
            on.acquire({});
        }
        on.drive_to_the_end();
    };
    exhaust("several dials, three failures in a row",
            {.attempt = all, .max = more_than_fit_inline, .failures = 3, .threads = whose::this_thread});
}

TEST_CASE("SA-8: without memory start() ends, and no slot is lost") {
    const auto start = [](trial& on) {
        on.spawn([&on]() -> asio::awaitable<void> { co_await on.lines->start(); });
        on.drive_to_the_end();
    };
    exhaust("start", {.attempt = start, .min = 1, .threads = whose::this_thread});
}
