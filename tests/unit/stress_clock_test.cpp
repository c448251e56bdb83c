#include "arrivals.hpp"
#include "gate.hpp"
#include "sleeper.hpp"
#include "support/catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <vector>

namespace {

using namespace trunkline::stress;
using namespace std::chrono_literals;
using boost::asio::awaitable;
using clock_type = sleeper::clock;

awaitable<void> sleep_and_note(sleeper& beds, clock_type::time_point when, int number, std::vector<int>& woken) {
    co_await beds.async_sleep_until(when, boost::asio::deferred);
    woken.push_back(number);
}

awaitable<void> wait_and_note(gate& open, bool& passed) {
    co_await open.async_wait_empty(boost::asio::deferred);
    passed = true;
}

}  // namespace

TEST_CASE("sleeper: clients wake in the order of their times, never early") {
    boost::asio::io_context io;
    sleeper beds{io.get_executor()};
    std::vector<int> woken;
    const auto start = clock_type::now();
    for (const int number : {3, 1, 2, 0}) {
        boost::asio::co_spawn(io, sleep_and_note(beds, start + number * 1ms, number, woken), boost::asio::detached);
    }
    io.run();
    CHECK(woken == std::vector<int>{0, 1, 2, 3});
    CHECK(clock_type::now() >= start + 3ms);
}

TEST_CASE("sleeper: waking all ends every sleep, and nobody sleeps afterwards") {
    boost::asio::io_context io;
    sleeper beds{io.get_executor()};
    std::vector<int> woken;
    const auto never = clock_type::now() + 1h;
    for (int number = 0; number < 1'000; ++number) {
        boost::asio::co_spawn(io, sleep_and_note(beds, never, number, woken), boost::asio::detached);
    }
    io.poll();
    CHECK(woken.empty());
    beds.wake_all();
    boost::asio::co_spawn(io, sleep_and_note(beds, never, 1'000, woken), boost::asio::detached);
    io.run();
    CHECK(woken.size() == 1'001);
}

TEST_CASE("gate: it opens when the last has left, and at once when nobody is "
          "inside") {
    boost::asio::io_context io;
    gate open{io.get_executor()};
    open.enter();
    open.enter();
    bool passed = false;
    boost::asio::co_spawn(io, wait_and_note(open, passed), boost::asio::detached);
    io.poll();
    open.leave();
    io.restart();
    io.poll();
    CHECK_FALSE(passed);
    open.leave();
    io.restart();
    io.poll();
    CHECK(passed);
    passed = false;
    boost::asio::co_spawn(io, wait_and_note(open, passed), boost::asio::detached);
    io.restart();
    io.poll();
    CHECK(passed);
}

TEST_CASE("arrivals: they come at the rate asked for, in order, also at high rates") {
    for (const double rate : {10.0, 1'000.0, 900'000.0}) {
        CAPTURE(rate);
        const clock_type::time_point start{};
        arrivals schedule{rate, start, 1};
        auto last = start;
        constexpr int count = 100'000;
        for (int i = 0; i < count; ++i) {
            const auto next = schedule.next();
            REQUIRE(next >= last);
            last = next;
        }
        const double seconds = std::chrono::duration<double>(last - start).count();
        CHECK(count / seconds > 0.98 * rate);
        CHECK(count / seconds < 1.02 * rate);
    }
}
