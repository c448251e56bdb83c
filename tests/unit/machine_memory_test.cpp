// Commands for which there is no memory.
#include "machine_driver.hpp"

using namespace trunkline::core;
using namespace std::chrono_literals;

namespace {

void put_off(machine_driver& d) {
    REQUIRE(d.commands.size() == 1);
    const auto what = d.commands.front();
    d.event([&](auto& out) { d.machine.put_off(what, out); });
    CHECK(d.commands.empty());
    CHECK(d.wake <= d.now + 20ms);
}

}  // namespace

TEST_CASE("SA-8: a command that is put off is given out again, once") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms}};
    auto& w = d.wait();
    put_off(d);
    d.tick_after(20ms);
    REQUIRE(d.dialed().size() == 1);
    slot& s = *d.dialed().front();
    d.tick_after(20ms);
    CHECK(d.commands.empty());
    d.open(s);
    CHECK(w.granted == &s);

    d.release(s, returned::unclean);
    put_off(d);
    d.tick_after(20ms);
    CHECK(d.working(task::clean) == std::vector<slot*>{&s});
    d.done(s, verdict::bad);

    put_off(d);
    d.tick_after(20ms);
    CHECK(d.closing() == std::vector<slot*>{&s});
    d.tick_after(20ms);
    CHECK(d.commands.empty());
    d.end(s);
    CHECK(s.state == slot_state::vacant);
}

TEST_CASE("SA-8: a task that was put off until its time is over ends with that") {
    machine_driver d{{.max = 1, .idle_timeout = 0ms, .max_lifetime = 0ms, .clean_timeout = 10ms}};
    slot& s = *d.lease(1).front();
    d.release(s, returned::unclean);
    put_off(d);
    d.tick_after(10ms);
    CHECK(d.closing() == std::vector<slot*>{&s});
    d.tick_after(20ms);
    CHECK(d.commands.empty());
    d.end(s);
    CHECK(s.state == slot_state::vacant);
}
