#include "core/waiter_queue.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <vector>

namespace {

using namespace trunkline::core;
using namespace std::chrono_literals;

waiter& pop(waiter_queue& from) {
    waiter& first = from.front();
    from.erase(first);
    return first;
}

constexpr time_point at(int ms) { return time_point{std::chrono::milliseconds{ms}}; }

}  // namespace

TEST_CASE("the queue gives back first what came first") {
    std::array<waiter, 3> w;
    waiter_queue queue;
    CHECK(queue.empty());
    for (auto& each : w) {
        queue.push(each);
    }
    CHECK(queue.size() == 3);
    for (auto& each : w) {
        CHECK(&pop(queue) == &each);
    }
    CHECK(queue.empty());
    CHECK(queue.size() == 0);
}

TEST_CASE("a waiter leaves from wherever it stands and the others keep their order") {
    for (std::size_t gone = 0; gone < 3; ++gone) {
        std::array<waiter, 3> w;
        waiter_queue queue;
        for (auto& each : w) {
            queue.push(each);
        }
        queue.erase(w[gone]);
        CHECK(queue.size() == 2);
        for (std::size_t i = 0; i < 3; ++i) {
            if (i != gone) {
                CHECK(&pop(queue) == &w[i]);
            }
        }
    }
}

TEST_CASE("the earliest deadline is known whatever the order in which they came") {
    const int orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};
    for (const auto& order : orders) {
        std::array<waiter, 3> w;
        waiter_queue queue;
        for (std::size_t i = 0; i < 3; ++i) {
            w[i].deadline = at(order[i]);
            queue.push(w[i]);
        }
        for (int ms = 1; ms <= 3; ++ms) {
            CHECK(queue.first_deadline() == at(ms));
            CHECK(queue.expired(at(ms) - 1ns) == nullptr);
            waiter* const late = queue.expired(at(ms));
            REQUIRE(late != nullptr);
            CHECK(late->deadline == at(ms));
            queue.erase(*late);
        }
        CHECK(queue.first_deadline() == never);
        CHECK(queue.expired(at(1000)) == nullptr);
    }
}

TEST_CASE("waiters with one deadline expire in the order in which they came") {
    std::array<waiter, 4> w;
    waiter_queue queue;
    for (auto& each : w) {
        each.deadline = at(5);
        queue.push(each);
    }
    for (auto& each : w) {
        CHECK(queue.expired(at(5)) == &each);
        queue.erase(each);
    }
}

TEST_CASE("a waiter without a deadline never expires") {
    waiter w;
    waiter_queue queue;
    queue.push(w);
    CHECK(queue.first_deadline() == never);
    CHECK(queue.expired(never - 1ns) == nullptr);
    queue.erase(w);
}

TEST_CASE("whatever comes and goes, the queue knows who came first and whose time is over first") {
    for (std::uint32_t seed = 1; seed <= 500; ++seed) {
        std::minstd_rand random{seed};
        const auto below = [&](std::uint32_t n) { return static_cast<std::size_t>(random() % n); };
        std::array<waiter, 12> pool;
        std::vector<waiter*> model;  // in the order of arrival
        waiter_queue queue;
        for (int step = 0; step < 200; ++step) {
            waiter& w = pool[below(12)];
            if (const auto found = std::find(model.begin(), model.end(), &w); found != model.end()) {
                queue.erase(w);
                model.erase(found);
            } else if (below(3) == 0 && !model.empty()) {
                REQUIRE(&pop(queue) == model.front());
                model.erase(model.begin());
            } else {
                w.deadline = below(8) == 0 ? never : at(static_cast<int>(below(6)));
                queue.push(w);
                model.push_back(&w);
            }
            const auto first = std::min_element(
                model.begin(), model.end(), [](const waiter* a, const waiter* b) { return a->deadline < b->deadline; });
            REQUIRE(queue.size() == model.size());
            REQUIRE(queue.empty() == model.empty());
            REQUIRE(queue.first_deadline() == (model.empty() ? never : (*first)->deadline));
            const waiter* const late = queue.expired(at(3));
            REQUIRE((late != nullptr) == (!model.empty() && (*first)->deadline <= at(3)));
            REQUIRE((late == nullptr || late->deadline == (*first)->deadline));
        }
        while (!queue.empty()) {
            pop(queue);
        }
    }
}

TEST_CASE("TO-4: giving up takes no longer among a hundred thousand who wait than among a hundred") {
    const auto quickest = [](std::size_t size) {
        std::vector<waiter> all(size);
        waiter_queue queue;
        std::mt19937 dice{1};
        const auto some_time = [&] { return at(std::uniform_int_distribution<int>{0, 1'000'000}(dice)); };
        for (auto& w : all) {
            w.deadline = some_time();
            queue.push(w);
        }
        auto best = std::chrono::nanoseconds::max();
        for (int round = 0; round < 50; ++round) {
            const auto begin = std::chrono::steady_clock::now();
            for (int i = 0; i < 100; ++i) {
                waiter& w = all[std::uniform_int_distribution<std::size_t>{0, size - 1}(dice)];
                queue.erase(w);
                queue.push(w);
            }
            best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - begin);
        }
        for (auto& w : all) {
            queue.erase(w);
        }
        return best;
    };
    const auto among_few = quickest(100);
    const auto among_many = quickest(100'000);
    WARN("a hundred waiters gave up and came back in " << among_few.count() << " ns among 100, in "
                                                       << among_many.count() << " ns among 100,000");
    CHECK(among_many <=
          200 * among_few);  // caches are missed; whoever looked at each would take a thousand times as long
}
