#pragma once

#include "actions.hpp"
#include "counters.hpp"
#include "decisions.hpp"
#include "limits.hpp"
#include "slot.hpp"
#include "waiter_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>

namespace trunkline::core {

/// How a lease left its connection.
enum class returned : unsigned char {
    clean,           ///< the next caller may have it
    in_transaction,  ///< a ROLLBACK cleans it
    spoilt,          ///< close it
};

/// Why a dial failed, as far as the core cares.
enum class dial_failure : unsigned char {
    transient,  ///< the network, a full or starting server: try again later, whoever waits may go on waiting
    refused,    ///< user, password or database: whoever waits is told at once
    aborted,    ///< we gave it up ourselves
};

/// Who gets which connection when. Events go in, `actions` come out. No lock, no clock, no I/O: the caller serialises
/// the calls and says what time it is. Its invariants are checked by `check()`.
class machine {
public:
    machine(const limits& given, std::uint64_t seed);
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    /// From now on `min` connections are kept open; `deadline` is when the warm-up counts as failed.
    void start(time_point now, time_point deadline, actions& out);

    /// An idle connection, most recently used first, or null. Idle connections exist only while nobody waits, so that
    /// this overtakes nobody.
    [[nodiscard]] slot* try_acquire() noexcept;
    /// Queues `w` (with its deadline set) behind those who wait; it may be settled at once. Only after `try_acquire`
    /// found nothing.
    void wait(waiter& w, time_point now, actions& out);
    /// `w` gives up. If it has been settled already nothing happens: a grant stays a grant.
    void cancel(waiter& w, actions& out);

    /// A lease comes back. `now` is needed for `in_transaction` alone.
    void release(slot& s, returned how, time_point now, actions& out);
    /// The ROLLBACK is done, well or not: once for each `command_kind::reset`, whatever became of the slot.
    void reset_done(slot& s, bool well, actions& out);

    /// A dial succeeded; `s.connection` is set.
    void opened(slot& s, time_point now, actions& out);
    void open_failed(slot& s, dial_failure why, time_point now, actions& out);
    /// The connection broke, in whatever state.
    void lost(slot& s, actions& out);
    /// The server has let go of a connection that was being closed.
    void closed(slot& s, actions& out);

    /// Time passes: call it at `actions::wake` or earlier.
    void tick(time_point now, actions& out);

    /// Other limits, live. `replace`: the sessions of before are no longer wanted.
    void reconfigure(const limits& given, bool replace, time_point now, actions& out);
    /// Every connection of before is closed when it is free.
    void rotate(actions& out);

    /// Lends nothing any more and closes each connection when it is free; from `deadline` on those that are lent out as
    /// well. Called again, the earlier deadline counts.
    void close(time_point deadline, actions& out);

    [[nodiscard]] const counters& numbers() const noexcept { return numbers_; }
    [[nodiscard]] bool is_closed() const noexcept { return closed_; }
    /// Connections that a lease holds, those closed underneath it included.
    [[nodiscard]] std::size_t lent_out() const noexcept { return lent_out_; }
    /// The same, and those that a rollback holds.
    [[nodiscard]] std::size_t held() const noexcept { return lent_out_ + rolling_back_; }
    /// Every slot that was ever taken: for tests.
    [[nodiscard]] const std::deque<slot>& slots() const noexcept { return slots_; }

    /// Asserts the invariants that cost more than O(1): for tests.
    void check() const;

private:
    void move(slot& s, slot_state to) noexcept;
    counter& gauge(slot_state of) noexcept;
    [[nodiscard]] std::size_t live() const noexcept;
    [[nodiscard]] std::size_t total() const noexcept;
    void settle(waiter& w, outcome how, actions& out) noexcept;
    void settle_all(outcome how, actions& out) noexcept;
    void free_for_next(slot& s, actions& out);
    void leave(slot& s, leave_reason why, actions& out);
    void vacate(slot& s) noexcept;
    void make_vacant_if_free(slot& s) noexcept;
    [[nodiscard]] leave_reason reason_to_leave(const slot& s) const noexcept;
    void retire_idle(actions& out);
    void close_lent_out(actions& out);
    void sweep(time_point now, actions& out);
    time_point reap_idle(time_point now, actions& out);
    void dial(actions& out);
    slot& vacant_slot();
    void shut_gate(time_point now);
    [[nodiscard]] double random_share() { return std::uniform_real_distribution<double>{0.0, 1.0}(random_); }
    void conclude(actions& out);
    [[nodiscard]] time_point next_wake() const noexcept;

    limits limits_;
    std::deque<slot> slots_;  // before the lists that link them: they must let go first
    slot_list idle_;          // front: most recently used
    slot_list resetting_;     // front: earliest deadline
    slot_list vacant_;
    waiter_queue queue_;
    counters numbers_;
    std::minstd_rand random_;

    std::uint64_t generation_ = 0;
    std::size_t lent_out_ = 0;
    std::size_t rolling_back_ = 0;
    unsigned failures_ = 0;          // dials failed in a row
    bool refused_ = false;           // the last of them because of user, password or database
    time_point gate_opens_ = never;  // no dial before; `never`: the gate is open
    time_point next_sweep_ = never;
    time_point warm_up_deadline_ = never;
    time_point close_deadline_ = never;
    bool started_ = false;
    bool warming_ = false;
    bool closed_ = false;
    bool finished_ = false;
};

}  // namespace trunkline::core
