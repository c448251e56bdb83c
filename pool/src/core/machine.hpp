#pragma once

#include "actions.hpp"
#include "counters.hpp"
#include "decisions.hpp"
#include "dial_gate.hpp"
#include "limits.hpp"
#include "shedder.hpp"
#include "slot.hpp"
#include "waiter_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>

namespace trunkline::core {

/// How a lease left its connection.
enum class returned : unsigned char {
    clean,    ///< the next caller may have it
    unclean,  ///< the task `clean` mends it
    spoilt,   ///< close it
};

/// How a task ended.
enum class verdict : unsigned char {
    good,       ///< the connection may be lent
    bad,        ///< close it
    elsewhere,  ///< of a check: the connection is well, but the one whose turn it is should have another
    refused,    ///< of a check: the connection is well, but the one whose turn it is gets none
};

/// Who gets which connection when. Events go in, `actions` come out. No lock, no clock, no I/O: the caller serialises
/// the calls and says what time it is. Its invariants are checked by `check()`.
///
/// Sources: machine.cpp (callers), machine_connections.cpp (connections), machine_parts.cpp (what they share),
/// machine_demand.cpp (checks and dials), machine_sweep.cpp (ages), machine_rotation.cpp (replacements).
class machine {
public:
    machine(const limits& given, std::uint64_t seed);
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    /// From now on the floors are kept; `deadline` is when the warm-up counts as failed.
    void start(time_point now, time_point deadline, actions& out);
    /// A login that is refused does not end the warm-up: its deadline alone does.
    void be_patient() noexcept { patient_ = true; }

    /// An idle connection that may be lent as it is, or null. It overtakes nobody.
    [[nodiscard]] slot* try_acquire() noexcept;
    /// Queues `w` (with its deadline set) behind those who wait; it may be settled at once. Only after `try_acquire`
    /// found nothing.
    void wait(waiter& w, time_point now, actions& out);
    /// `w` gives up. If it has been settled already nothing happens: a grant stays a grant.
    void cancel(waiter& w, actions& out, time_point now = never);

    /// A lease comes back. `now` may be `never` for a clean one: it reads no clock.
    void release(slot& s, returned how, time_point now, actions& out);
    /// A lease keeps its connection for ever.
    void detach(slot& s, time_point now, actions& out);
    /// The pool's own part of a task is over and the program's begins, with a time of its own. False: do not begin it,
    /// for nobody asks for its outcome any more; the task is over.
    [[nodiscard]] bool hook_begins(slot& s, time_point now, actions& out);
    /// A task is over, well or not: once for each `command_kind::work`, whatever became of the slot.
    void task_done(slot& s, verdict how, time_point now, actions& out);

    /// A dial succeeded; `s.connection` is set. What prepares it has to end by `prepared_by` at the latest.
    void opened(slot& s, time_point now, actions& out, time_point prepared_by = never);
    void open_failed(slot& s, dial_failure why, time_point now, actions& out);
    /// The connection broke, in whatever state. `server_ends`: because the server stops or drops everybody (57P01, 57P02).
    void lost(slot& s, bool server_ends, time_point now, actions& out);
    /// The server has let go of a connection that was being closed.
    void closed(slot& s, time_point now, actions& out);

    /// There was no memory to carry out `what`, of any kind but a report: it is given out again in a moment.
    void put_off(const command& what, actions& out) noexcept;

    /// Time passes: call it at `actions::wake` or earlier.
    void tick(time_point now, actions& out);

    /// Other limits, live. `replace`: the sessions of before are no longer wanted.
    void reconfigure(const limits& given, bool replace, time_point now, actions& out);
    /// `max` is no higher than that from now on, whatever the limits say: what the server has to give.
    void cap(std::size_t most, time_point now, actions& out);
    /// Every connection of before is replaced, one after another, the new one first where there is room.
    void rotate(time_point now, actions& out);
    /// Every connection for which `chosen(slot)` is true is closed when it is free: now if it is idle. If `chosen` throws,
    /// none is, and so does this.
    template <typename Chosen>
    void evict(Chosen chosen, time_point now, actions& out) {
        for (slot& s : slots_) {
            s.chosen = s.state != slot_state::vacant && s.state != slot_state::closing &&
                       s.doomed == leave_reason::none && chosen(s);
        }
        evict_chosen(now, out);  // all have been asked: from here on nothing throws
    }

    /// Lends nothing until `resume`. `hold_deadlines`: meanwhile nobody's time passes.
    void suspend(bool hold_deadlines, time_point now, actions& out);
    void resume(time_point now, actions& out);

    /// Lends nothing any more and closes each connection when it is free; from `deadline` on those that are lent out as
    /// well. Called again, the earlier deadline counts.
    void close(time_point deadline, time_point now, actions& out);

    /// The same from `when` on, with `grace` for the leases. Called again, the earlier time and the shorter grace count.
    void announce_close(time_point when, std::chrono::milliseconds grace, time_point now, actions& out);

    [[nodiscard]] const counters& numbers() const noexcept { return numbers_; }
    [[nodiscard]] const dial_gate& gate() const noexcept { return gate_; }
    [[nodiscard]] bool is_closed() const noexcept { return closed_; }
    [[nodiscard]] bool is_suspended() const noexcept { return suspended_; }
    /// Connections that a lease holds, those closed underneath it included.
    [[nodiscard]] std::size_t lent_out() const noexcept { return lent_out_; }
    /// The same, and those that a task holds.
    [[nodiscard]] std::size_t held() const noexcept { return lent_out_ + in_tasks_; }
    /// Every slot that was ever taken.
    [[nodiscard]] const std::deque<slot>& slots() const noexcept { return slots_; }

    /// Asserts the invariants that cost more than O(1): for tests.
    void check() const;

private:
    // what the events share (machine_parts.cpp)
    void tell_time(time_point now) noexcept;
    void evict_chosen(time_point now, actions& out);
    void move(slot& s, slot_state to) noexcept;
    counter& gauge(slot_state of) noexcept;
    [[nodiscard]] std::size_t live() const noexcept;
    [[nodiscard]] std::size_t total() const noexcept;
    [[nodiscard]] std::size_t most() const noexcept { return limits_.max < cap_ ? limits_.max : cap_; }
    void unqueue(waiter& w) noexcept;
    void settle(waiter& w, outcome how, actions& out) noexcept;
    void settle_all(outcome how, actions& out) noexcept;
    void order(const command& what, actions& out) noexcept;
    void order_again(actions& out) noexcept;
    void grant(slot& s, actions& out);
    [[nodiscard]] bool needs_check(const slot& s) const noexcept { return s.stale || limits_.checks_each; }
    [[nodiscard]] slot* next_idle() noexcept;
    [[nodiscard]] slot* next_for_waiters() noexcept;
    void forget_shunned() noexcept;
    void free_for_next(slot& s, actions& out);
    void come_back(slot& s, actions& out);
    void break_ring(actions& out);
    void watch_warm_up(actions& out);
    void begin(slot& s, task what, std::chrono::milliseconds timeout, actions& out);
    void set_task_deadline(slot& s, time_point deadline) noexcept;
    [[nodiscard]] time_point patience_until() const noexcept;
    void hurry_checks() noexcept;
    void end_task(slot& s) noexcept;
    void leave(slot& s, leave_reason why, actions& out);
    void count_leaving(leave_reason why) noexcept;
    void vacate(slot& s) noexcept;
    void make_vacant_if_free(slot& s) noexcept;
    [[nodiscard]] leave_reason reason_to_leave(const slot& s) const noexcept;
    void retire_idle(actions& out);
    void serve_waiters(actions& out);
    [[nodiscard]] bool all_are_shunned() const noexcept;
    void dial(actions& out);
    void begin_pause() noexcept;
    void end_pause() noexcept;
    slot* vacant_slot() noexcept;
    [[nodiscard]] outcome in_vain() const noexcept;
    [[nodiscard]] double random_share() { return std::uniform_real_distribution<double>{0.0, 1.0}(random_); }
    void conclude(actions& out);
    [[nodiscard]] time_point next_wake() const noexcept;

    // machine.cpp
    [[nodiscard]] outcome refusal_for(time_point now);
    void pass_over(outcome how, actions& out);

    // machine_connections.cpp
    void join(slot& s, actions& out);
    void on_prepared(slot& s, verdict how, actions& out);
    void on_checked(slot& s, verdict how, bool keepalive, actions& out);
    void on_overdue(slot& s, actions& out);
    void on_silence() noexcept;
    void lay_back(slot& s, bool last) noexcept;
    void end_grace(actions& out);

    // machine_sweep.cpp
    void sweep(time_point now, actions& out);
    time_point look_at_lease(slot& s, time_point now, actions& out);
    time_point look_at_idle(slot& s, time_point now, actions& out);
    time_point reap_idle(time_point now, actions& out);

    // machine_rotation.cpp
    [[nodiscard]] bool is_of_an_older_turn(const slot& s) const noexcept {
        return s.turn != turn_ && rotate_from_ == never;
    }
    [[nodiscard]] bool is_due(const slot& s) const noexcept;
    [[nodiscard]] time_point due_at(const slot& s) const noexcept;
    [[nodiscard]] slot* idle_and_due() noexcept;
    [[nodiscard]] bool is_full() const noexcept;
    [[nodiscard]] bool replacement_is_under_way() const noexcept;
    [[nodiscard]] bool makes_way(const slot& s) const noexcept;
    [[nodiscard]] nanoseconds retirement_spacing() const noexcept;
    void step_rotation(actions& out);
    void step_aside(slot& s, actions& out);
    void forget_in_rotation(const slot& s) noexcept;
    void rest_from_rotation() noexcept;

    static constexpr std::chrono::milliseconds memory_wait{20};

    limits limits_;
    dial_gate gate_{limits_};
    shedder shedder_;
    std::deque<slot> slots_;  // before the lists that link them: they must let go first
    slot_list idle_;          // front: most recently used
    slot_list vacant_;
    task_set tasks_;
    waiter_queue queue_;
    counters numbers_;
    std::minstd_rand random_;

    time_point now_{};  // the latest time that an event told
    std::size_t cap_ = static_cast<std::size_t>(-1);
    std::uint64_t generation_ = 0;
    std::uint64_t turn_ = 0;
    std::size_t lent_out_ = 0;
    std::size_t in_tasks_ = 0;
    std::size_t checking_ = 0;         // tasks `check` whose outcome counts
    std::size_t keeping_alive_ = 0;    // tasks `keepalive` whose outcome counts: as good as idle
    std::size_t holders_waiting_ = 0;  // leased connections whose holder waits for another
    bool silent_ = false;              // a sign of life took too long, and no dial or check has ended well since
    bool shunning_ = false;            // some idle connection is shunned
    bool asked_ = false;               // somebody was told that the server is down since the last dial
    time_point pause_ends_ = never;    // no further dial for waiters beside one under way before
    std::uint64_t granted_before_pause_ = 0;
    time_point memory_wait_ends_ = never;  // then what was put off for want of memory is tried again
    time_point next_sweep_ = never;
    time_point warm_up_deadline_ = never;
    time_point close_deadline_ = never;
    time_point closes_at_ = never;  // announced
    std::chrono::milliseconds announced_grace_ = std::chrono::milliseconds::max();
    time_point suspended_at_ = never;
    bool started_ = false;
    bool warming_ = false;
    bool patient_ = false;
    bool suspended_ = false;
    bool held_ = false;  // the deadlines
    bool closed_ = false;
    bool finished_ = false;

    // The rotation: one replacement at a time.
    bool rotating_ = false;           // something may be due
    time_point rotate_from_ = never;  // `turn_` counts from then on; `never`: at once
    time_point next_retirement_{};    // lifetimes end no closer together than this
    slot* coming_ = nullptr;          // the replacement, being dialed
    bool has_room_ = false;           // a replacement is to be dialed, and one that is due leaves afterwards
    bool owes_ = false;               // one has left first: its replacement is to be dialed
    bool coming_is_owed_ = false;     // nobody leaves for it any more
    bool replaced_ = false;           // the replacement has come: one that is due leaves as soon as it is free
    time_point coming_since_{};       // when the last replacement's dial began, as far as an event told
};

}  // namespace trunkline::core
