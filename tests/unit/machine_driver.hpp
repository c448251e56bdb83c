#pragma once

#include "core/machine.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <deque>
#include <vector>

/// Drives a machine by hand: one event at a time, each with the actions that came of it.
class machine_driver {
public:
    using duration = std::chrono::nanoseconds;

    explicit machine_driver(const trunkline::core::limits& given, std::uint64_t seed = 1) : machine{given, seed} {}
    machine_driver(const machine_driver&) = delete;
    machine_driver& operator=(const machine_driver&) = delete;
    ~machine_driver() {
        for (auto& w : waiters_) {  // a machine must not outlive those who wait for it, nor the other way round
            if (w.result == trunkline::core::outcome::pending) {
                event([&](auto& out) { machine.cancel(w, out); });
            }
        }
    }

    /// Runs one event; what it decided is in the members below.
    template <class Event>
    void event(Event&& run) {
        trunkline::core::actions out;
        run(out);
        told.clear();
        while (!out.settled.empty()) {
            told.push_back(&out.settled.front());
            out.settled.pop_front();
        }
        commands.assign(out.commands.begin(), out.commands.end());
        wake = out.wake;
        armed_ = std::min(armed_, out.wake);
        warmed = out.warmed;
        closes = out.closes;
        finished = out.finished;
        machine.check();
    }

    trunkline::core::waiter& wait(duration patience = duration::max(), trunkline::core::slot* holds = nullptr) {
        auto& w = waiters_.emplace_back();
        w.since = now;
        w.holds = holds;
        w.deadline = patience == duration::max() ? trunkline::core::never : now + patience;
        event([&](auto& out) { machine.wait(w, now, out); });
        return w;
    }
    void cancel(trunkline::core::waiter& w) {
        event([&](auto& out) { machine.cancel(w, out, now); });
    }
    void start(duration patience = std::chrono::seconds{5}) {
        event([&](auto& out) { machine.start(now, now + patience, out); });
    }
    void open(trunkline::core::slot& s) {
        event([&](auto& out) { machine.opened(s, now, out); });
    }
    void fail(trunkline::core::slot& s, trunkline::core::dial_failure why = trunkline::core::dial_failure::transient) {
        event([&](auto& out) { machine.open_failed(s, why, now, out); });
    }
    void release(trunkline::core::slot& s, trunkline::core::returned how = trunkline::core::returned::clean) {
        event([&](auto& out) { machine.release(s, how, now, out); });
    }
    void done(trunkline::core::slot& s, trunkline::core::verdict how = trunkline::core::verdict::good) {
        event([&](auto& out) { machine.task_done(s, how, now, out); });
    }
    /// What the machine says to it.
    bool begin_hook(trunkline::core::slot& s) {
        bool runs = false;
        event([&](auto& out) { runs = machine.hook_begins(s, now, out); });
        return runs;
    }
    void lose(trunkline::core::slot& s, bool server_ends = false) {
        event([&](auto& out) { machine.lost(s, server_ends, now, out); });
    }
    void end(trunkline::core::slot& s) {
        event([&](auto& out) { machine.closed(s, now, out); });
    }
    void detach(trunkline::core::slot& s) {
        event([&](auto& out) { machine.detach(s, now, out); });
    }
    void suspend(bool hold_deadlines = false) {
        event([&](auto& out) { machine.suspend(hold_deadlines, now, out); });
    }
    void resume() {
        event([&](auto& out) { machine.resume(now, out); });
    }
    void cap(std::size_t most) {
        event([&](auto& out) { machine.cap(most, now, out); });
    }
    void evict() {
        event([&](auto& out) { machine.evict([](const auto&) { return true; }, now, out); });
    }
    void reconfigure(const trunkline::core::limits& given, bool replace = false) {
        event([&](auto& out) { machine.reconfigure(given, replace, now, out); });
    }
    void rotate() {
        event([&](auto& out) { machine.rotate(now, out); });
    }
    void close(duration grace = duration::max()) {
        const auto deadline = grace == duration::max() ? trunkline::core::never : now + grace;
        event([&](auto& out) { machine.close(deadline, now, out); });
    }
    void tick_after(duration passed) {
        now += passed;
        armed_ = trunkline::core::never;
        event([&](auto& out) { machine.tick(now, out); });
    }
    /// Ticks whenever the machine asks for it, until `until`. Returns the commands of all of them.
    std::vector<trunkline::core::command> pass_until(trunkline::core::time_point until) {
        std::vector<trunkline::core::command> all;
        while (armed_ <= until) {
            tick_after(std::max(armed_ - now, duration{0}));
            all.insert(all.end(), commands.begin(), commands.end());
        }
        now = until;
        return all;
    }

    /// `n` connections, leased. Only while nobody waits and nothing is idle.
    std::vector<trunkline::core::slot*> lease(std::size_t n) {
        std::vector<trunkline::core::slot*> leased;
        while (leased.size() < n) {
            auto& w = wait();
            REQUIRE(commands.size() == 1);
            open(*commands.front().target);
            REQUIRE(w.result == trunkline::core::outcome::granted);
            leased.push_back(w.granted);
        }
        return leased;
    }
    /// `n` idle connections; the last was used last.
    std::vector<trunkline::core::slot*> idle(std::size_t n) {
        auto leased = lease(n);
        for (auto* s : leased) {
            release(*s);
        }
        return leased;
    }

    [[nodiscard]] std::vector<trunkline::core::slot*> targets(trunkline::core::command_kind kind) const {
        std::vector<trunkline::core::slot*> found;
        for (const auto& c : commands) {
            if (c.kind == kind) {
                found.push_back(c.target);
            }
        }
        return found;
    }
    /// Whose tasks of that kind began in the event.
    [[nodiscard]] std::vector<trunkline::core::slot*> working(trunkline::core::task what) const {
        std::vector<trunkline::core::slot*> found;
        for (const auto& c : commands) {
            if (c.kind == trunkline::core::command_kind::work && c.doing == what) {
                found.push_back(c.target);
            }
        }
        return found;
    }
    [[nodiscard]] std::vector<trunkline::core::slot*> dialed() const {
        return targets(trunkline::core::command_kind::dial);
    }
    [[nodiscard]] std::vector<trunkline::core::slot*> closing() const {
        return targets(trunkline::core::command_kind::close);
    }
    /// The event closed `s`, for `why`, and nothing else.
    [[nodiscard]] bool closed_only(const trunkline::core::slot& s, trunkline::core::leave_reason why) const {
        return commands.size() == 1 && commands.front().kind == trunkline::core::command_kind::close &&
               commands.front().target == &s && commands.front().reason == why;
    }
    [[nodiscard]] const trunkline::core::counters& numbers() const { return machine.numbers(); }

private:
    std::deque<trunkline::core::waiter> waiters_;                 // before the machine: they must outlive its queue
    trunkline::core::time_point armed_ = trunkline::core::never;  // the earliest tick asked for since the last

public:
    trunkline::core::machine machine;
    trunkline::core::time_point now{std::chrono::seconds{1000}};

    // of the last event
    std::vector<trunkline::core::waiter*> told;
    std::vector<trunkline::core::command> commands;
    trunkline::core::time_point wake = trunkline::core::never;
    trunkline::core::warm_up warmed = trunkline::core::warm_up::no_news;
    bool closes = false;
    bool finished = false;
};
