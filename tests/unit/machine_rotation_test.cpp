// How connections are replaced: lifetimes, rotations, evictions.
#include "machine_driver.hpp"

#include <stdexcept>

using namespace trunkline::core;
using namespace std::chrono_literals;

namespace {

/// Lets time pass; every dial succeeds at once and every close ends at once. Returns when each connection left.
std::vector<time_point> departures(machine_driver& d, time_point until, leave_reason why,
                                   std::deque<command> pending = {}) {
    std::vector<time_point> left;
    d.tick_after(0ms);
    for (;;) {
        pending.insert(pending.end(), d.commands.begin(), d.commands.end());
        if (pending.empty()) {
            d.tick_after(0ms);
            if (d.commands.empty() && d.wake > until) {
                break;
            }
            if (d.commands.empty()) {
                d.tick_after(std::max(d.wake - d.now, machine_driver::duration{0}));
            }
            continue;
        }
        const auto c = pending.front();
        pending.pop_front();
        if (c.kind == command_kind::dial) {
            d.open(*c.target);
        } else {
            CHECK(c.reason == why);
            left.push_back(d.now);
            d.end(*c.target);
        }
    }
    return left;
}

}  // namespace

TEST_CASE("LC-1: lifetimes end up to a tenth early, also below a second") {
    for (const auto lifetime : {800ms, 100'000ms}) {
        for (std::uint64_t seed = 1; seed <= 30; ++seed) {
            machine_driver d{{.max = 2, .idle_timeout = 0ms, .max_lifetime = lifetime}, seed};
            auto* const s = d.idle(1).front();
            CHECK(s->retire_at >= d.now + lifetime - lifetime / 10);
            CHECK(s->retire_at <= d.now + lifetime);
            CHECK(d.pass_until(s->retire_at - 1ns).empty());
            d.pass_until(s->retire_at);
            CHECK(d.dialed().size() == 1);
        }
    }
}

TEST_CASE("LC-2: lifetimes end at least max_lifetime / size apart, one replacement at a time") {
    machine_driver d{{.max = 12, .max_connecting = 12, .idle_timeout = 0ms, .max_lifetime = 100s}};
    d.idle(10);
    const auto left = departures(d, d.now + 1'000s, leave_reason::old);
    REQUIRE(left.size() > 50);
    for (std::size_t i = 1; i < left.size(); ++i) {
        CHECK(left[i] - left[i - 1] >= 100s / 12);
    }
    CHECK(d.numbers().idle.value() == 10);
}

TEST_CASE("LC-3: the replacement is open before the old one leaves") {
    machine_driver d{{.max = 3}};
    const auto s = d.idle(2);
    d.rotate();
    REQUIRE(d.commands.size() == 1);
    REQUIRE(d.dialed().size() == 1);
    auto* const first = d.dialed().front();
    CHECK(d.numbers().idle.value() == 2);
    d.open(*first);
    CHECK(d.closed_only(*s[0], leave_reason::retired));
    d.end(*s[0]);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(d.closed_only(*s[1], leave_reason::retired));
    d.end(*s[1]);
    CHECK(d.commands.empty());
    CHECK(d.numbers().idle.value() == 2);
}

TEST_CASE("LC-3: in a full pool SZ-1 wins: one idle connection leaves first") {
    machine_driver d{{.max = 2}};
    const auto s = d.idle(2);
    d.rotate();
    CHECK(d.closed_only(*s[0], leave_reason::retired));
    d.end(*s[0]);
    REQUIRE(d.dialed().size() == 1);
    CHECK(d.numbers().idle.value() == 1);
    d.open(*d.dialed().front());
    CHECK(d.closed_only(*s[1], leave_reason::retired));
    d.end(*s[1]);
    CHECK(d.dialed().size() == 1);
}

TEST_CASE("LC-3: after each replacement nobody else goes for a while: in a full pool for longer") {
    const auto full = GENERATE(false, true);
    const auto took = GENERATE(6ms, 5'000ms);
    machine_driver d{{.max = full ? 3U : 4U, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    const auto s = d.idle(3);
    d.rotate();
    for (std::size_t i = 0; i < 2; ++i) {
        if (full) {
            CHECK(d.closed_only(*s[i], leave_reason::retired));
            d.end(*s[i]);
        }
        REQUIRE(d.dialed().size() == 1);
        auto* const coming = d.dialed().front();
        CHECK(d.pass_until(d.now + took).empty());
        d.open(*coming);
        if (!full) {
            CHECK(d.closed_only(*s[i], leave_reason::retired));
            d.end(*s[i]);
        }
        CHECK(d.commands.empty());
        const auto rest = full ? std::min<std::chrono::nanoseconds>(2000 / 3 * took, 5s)
                               : std::min<std::chrono::nanoseconds>(19 * took, 1s);
        CHECK(d.pass_until(d.now + rest - 1ns).empty());
        CHECK(d.pass_until(d.now + 1ns).size() == 1);
    }
    CHECK(d.numbers().retired.value() == (full ? 3 : 2));
}

TEST_CASE("LC-3: whoever asks for a rotation during such a rest is served at once") {
    machine_driver d{{.max = 3, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    const auto s = d.idle(2);
    d.rotate();
    auto* const first = d.dialed().front();
    d.pass_until(d.now + 40ms);
    d.open(*first);
    d.end(*s[0]);
    CHECK(d.commands.empty());
    d.rotate();
    CHECK(d.dialed().size() == 1);
}

TEST_CASE(
    "LC-3: in a full and busy pool whichever comes back first makes way, and a lease that never ends stops nobody") {
    machine_driver d{{.max = 3}};
    const auto s = d.lease(3);
    d.wait();
    d.wait();
    d.rotate();
    CHECK(d.commands.empty());
    d.release(*s[2]);
    CHECK(d.closed_only(*s[2], leave_reason::retired));
    d.release(*s[1]);  // one at a time: this one serves
    CHECK(d.told.size() == 1);
    d.end(*s[2]);
    REQUIRE(d.dialed().size() == 1);
    d.open(*d.dialed().front());
    CHECK(d.told.size() == 1);
    d.release(*s[1]);
    CHECK(d.closed_only(*s[1], leave_reason::retired));
}

TEST_CASE("LC-3: what is being dialed, cleaned or checked when everything is to be replaced is replaced too") {
    machine_driver d{{.max = 8}};
    const auto s = d.lease(2);
    d.release(*s[0], returned::unclean);
    auto& w = d.wait();
    auto* const dialed = d.dialed().front();
    d.cancel(w);
    std::deque<command> pending;
    const auto gather = [&] { pending.insert(pending.end(), d.commands.begin(), d.commands.end()); };
    d.rotate();
    gather();
    d.done(*s[0]);
    gather();
    d.open(*dialed);
    gather();
    d.release(*s[1]);
    gather();
    const auto left = departures(d, d.now + 1s, leave_reason::retired, std::move(pending));
    CHECK(d.numbers().retired.value() == 3);
    CHECK(left.size() <= 3);
    for (const auto& each : d.machine.slots()) {
        CHECK((each.state == slot_state::vacant || each.turn == 1));
    }
}

TEST_CASE("LC-4: a lifetime is put off while callers wait, by a tenth of it at most") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 100s}};
    auto* s = d.lease(1).front();
    const auto retires = s->retire_at;
    auto& first = d.wait();
    auto& second = d.wait();
    d.wait();
    d.pass_until(retires + 10s - 1ns);
    d.release(*s);
    CHECK(first.granted == s);
    d.pass_until(retires + 10s);
    d.release(*s);
    CHECK(d.closed_only(*s, leave_reason::old));
    CHECK(second.result == outcome::pending);
}

TEST_CASE("LC-9: an evicted connection is closed when it is free, and what is new stays") {
    machine_driver d{{.max = 4}};
    const auto s = d.lease(2);
    auto& w = d.wait();
    auto* const dialed = d.dialed().front();
    d.release(*s[0]);
    REQUIRE(w.granted == s[0]);
    d.release(*s[0]);
    d.evict();
    CHECK(d.closed_only(*s[0], leave_reason::retired));
    d.release(*s[1]);
    CHECK(d.closed_only(*s[1], leave_reason::retired));
    d.open(*dialed);
    CHECK(d.closed_only(*dialed, leave_reason::retired));
    auto& next = d.wait();
    auto* const fresh = d.dialed().front();
    d.open(*fresh);
    CHECK(next.granted == fresh);
    d.release(*fresh);
    CHECK(d.commands.empty());
}

TEST_CASE("LC-9: an eviction takes those that were chosen and no others") {
    machine_driver d{{.max = 3}};
    const auto s = d.idle(3);
    d.event([&](auto& out) { d.machine.evict([&](const slot& each) { return &each == s[1]; }, d.now, out); });
    CHECK(d.closed_only(*s[1], leave_reason::retired));
}

TEST_CASE("LC-9: an eviction whose choice throws half-way closes nothing, neither then nor later") {
    machine_driver d{{.max = 4}};
    const auto s = d.lease(3);
    d.release(*s[0]);
    d.release(*s[1]);  // the third is lent while it is asked about
    int asked = 0;
    const auto choose = [&](const slot&) {
        if (++asked == 3) {
            throw std::runtime_error{"the program's own"};
        }
        return true;
    };
    const auto evict = [&] { d.event([&](auto& out) { d.machine.evict(choose, d.now, out); }); };
    CHECK_THROWS_AS(evict(), std::runtime_error);
    d.release(*s[2]);
    CHECK(d.commands.empty());
    std::vector<slot*> lent;  // each is lent once more, and stays
    while (lent.size() < 3) {
        lent.push_back(d.wait().granted);
        REQUIRE(lent.back() != nullptr);
    }
    for (auto* const each : lent) {
        d.release(*each);
        CHECK(d.commands.empty());
    }
    CHECK(d.numbers().idle.value() == 3);
    CHECK(d.numbers().retired.value() == 0);
    evict();
    CHECK(d.numbers().retired.value() == 3);
}

TEST_CASE("LC-10: a detached connection frees its slot for ever") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    auto& w = d.wait();
    d.detach(*s);
    REQUIRE(d.dialed().size() == 1);
    CHECK(d.numbers().detached.value() == 1);
    CHECK(d.machine.lent_out() == 0);
    d.open(*d.dialed().front());
    CHECK(w.result == outcome::granted);
}

TEST_CASE("LC-10: who detaches what was closed underneath frees the slot and no more") {
    machine_driver d{{.max = 1}};
    auto* const s = d.lease(1).front();
    d.close(0ms);
    d.tick_after(0ms);
    d.detach(*s);
    CHECK(d.numbers().detached.value() == 0);
    d.end(*s);
    CHECK(d.finished);
}

TEST_CASE("LC-7: a connection that was lent often enough is closed when it comes back") {
    machine_driver d{{.max = 1, .max_uses = 3}};
    auto* const s = d.idle(1).front();
    REQUIRE(d.machine.try_acquire() == s);
    d.release(*s);
    CHECK(d.commands.empty());
    REQUIRE(d.machine.try_acquire() == s);
    d.release(*s);
    CHECK(d.closed_only(*s, leave_reason::worn));
    CHECK(d.numbers().worn.value() == 1);
}

TEST_CASE("RE-8: when the server ends one connection, what is left of its time a moment later is replaced") {
    machine_driver d{{.max = 4}};
    const auto s = d.idle(3);
    d.lose(*s[0], true);
    CHECK(d.closed_only(*s[0], leave_reason::lost));
    d.lose(*s[1], true);
    d.end(*s[0]);
    d.end(*s[1]);
    CHECK(d.pass_until(d.now + 1s - 1ns).empty());
    const auto then = d.pass_until(d.now + 1ns);
    REQUIRE(then.size() == 1);
    d.open(*then.front().target);
    CHECK(d.closed_only(*s[2], leave_reason::retired));
    d.end(*s[2]);
    CHECK(d.pass_until(d.now + 10s).empty());
}
