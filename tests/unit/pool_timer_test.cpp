#include "pool_timer.hpp"
#include "support/catch.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using trunkline::detail::pool_timer;

TEST_CASE("AQ-5: a wait that ends on another thread while it is being armed leaves the timer free for the next") {
    constexpr int rounds = 20'000;
    boost::asio::io_context context;
    pool_timer timer{context.get_executor()};
    std::atomic<int> fired{0};
    std::atomic<bool> done{false};
    int armed = 0;
    int lost = 0;
    {
        const auto work = boost::asio::make_work_guard(context);
        std::vector<std::jthread> threads;
        for (int i = 0; i < 2; ++i) {  // they never sleep, so that a wait may end before it is armed
            threads.emplace_back([&] {
                while (!done) {
                    context.poll();
                    std::this_thread::yield();
                }
            });
        }
        const auto enough = std::chrono::steady_clock::now() + 2s;
        for (; armed < rounds && lost == 0 && std::chrono::steady_clock::now() < enough; ++armed) {
            timer.arm(std::chrono::steady_clock::now(), [&](const boost::system::error_code& ended) {
                if (!ended) {
                    timer.rearm();
                    ++fired;
                }
            });
            const auto give_up = std::chrono::steady_clock::now() + 10s;
            while (fired <= armed && lost == 0) {
                std::this_thread::yield();
                lost = std::chrono::steady_clock::now() > give_up ? 1 : 0;
            }
        }
        timer.stop();
        done = true;
    }
    CHECK(lost == 0);
    CHECK(fired == armed);
}
