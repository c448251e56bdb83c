// Any order of cancellations, hand-overs and closes, on the core alone.
#include "machine_driver.hpp"
#include "support/sanitizer.hpp"

#include <array>
#include <memory>
#include <random>

using namespace trunkline::core;
using namespace std::chrono_literals;

namespace {

#ifdef TRUNKLINE_TEST_SANITIZED
constexpr std::uint64_t hand_overs = 100'000;
#else
constexpr std::uint64_t hand_overs = 1'000'000;
#endif

/// A crowd at one machine: everything happens in an order drawn at random, and is counted here a second time.
class crowd {
public:
    explicit crowd(std::uint32_t seed) : random_{seed} {}
    ~crowd() {
        actions out;
        for (auto& w : waiters_) {
            if (w.in_order.is_linked()) {
                machine_.cancel(w, out);
            }
        }
        out.settled.clear();
    }

    void step() {
        now_ += std::chrono::microseconds{below(50)};
        out_ = std::make_unique<actions>();
        switch (below(6)) {
        case 0:
        case 1: arrive(); break;
        case 2: give_up(); break;
        case 3: bring_back(); break;
        case 4: answer(connecting_); break;
        default: answer(closing_); break;
        }
        settle();
        REQUIRE(machine_.lent_out() == leased_.size());
        const auto& n = machine_.numbers();
        REQUIRE(n.connecting.value() == connecting_.size());
        REQUIRE(n.closing.value() == closing_.size());
        REQUIRE(n.leased.value() == leased_.size());
        const auto total = n.idle.value() + leased_.size() + connecting_.size() + closing_.size();
        REQUIRE(total <= 4);
        REQUIRE(n.opened.value() + n.dials_failed.value() + n.connecting.value() == n.dials.value());
        REQUIRE((n.waiting.value() == 0 || n.idle.value() == 0));
        REQUIRE(n.waiting.value() == order_.size());
    }

    [[nodiscard]] std::uint64_t handed_over() const { return machine_.numbers().granted.value(); }
    [[nodiscard]] std::uint64_t cancelled() const { return machine_.numbers().cancelled.value(); }

private:
    std::size_t below(std::size_t n) { return random_() % n; }

    void arrive() {
        if (slot* const s = machine_.try_acquire()) {
            REQUIRE(order_.empty());
            leased_.push_back(s);
            return;
        }
        auto& w = waiters_[below(waiters_.size())];
        if (w.in_order.is_linked()) {
            return;
        }
        w.result = outcome::pending;
        w.granted = nullptr;
        order_.push_back(&w);
        machine_.wait(w, now_, *out_);
    }
    void give_up() {
        auto& w = waiters_[below(waiters_.size())];
        if (w.in_order.is_linked() || w.result != outcome::pending) {
            machine_.cancel(w, *out_);
        }
    }
    void bring_back() {
        if (leased_.empty()) {
            return;
        }
        auto* const s = take(leased_);
        const bool spoilt = below(8) == 0;
        machine_.release(*s, spoilt ? returned::spoilt : returned::clean, now_, *out_);
    }
    void answer(std::vector<slot*>& from) {
        if (from.empty()) {
            return;
        }
        auto* const s = take(from);
        if (&from == &connecting_) {
            machine_.opened(*s, now_, *out_);
        } else {
            machine_.closed(*s, now_, *out_);
        }
    }
    slot* take(std::vector<slot*>& from) {
        std::swap(from[below(from.size())], from.back());
        auto* const s = from.back();
        from.pop_back();
        return s;
    }
    void settle() {
        while (!out_->settled.empty()) {
            auto& w = out_->settled.front();
            out_->settled.pop_front();
            if (w.result == outcome::granted) {
                REQUIRE(order_.front() == &w);  // 0 inversions
                leased_.push_back(w.granted);
            }
            order_.erase(std::find(order_.begin(), order_.end(), &w));
        }
        for (const auto& c : out_->commands) {
            (c.kind == command_kind::dial ? connecting_ : closing_).push_back(c.target);
        }
    }

    std::minstd_rand random_;
    std::array<waiter, 16> waiters_;
    machine machine_{{.max = 4, .max_connecting = 2}, 1};
    time_point now_{1000s};
    std::unique_ptr<actions> out_;
    std::deque<waiter*> order_;
    std::vector<slot*> leased_, connecting_, closing_;
};

}  // namespace

TEST_CASE("TO-4, AQ-2: a million hand-overs among random arrivals and cancellations lose no slot and nobody's turn") {
    crowd all{1};
    while (all.handed_over() < hand_overs) {
        all.step();
    }
    CHECK(all.cancelled() > hand_overs / 10);
}
