#pragma once

#include "backoff_watch.hpp"
#include "core/machine.hpp"
#include "rule.hpp"

#include <array>
#include <deque>
#include <vector>

namespace simulation {

namespace core = trunkline::core;

struct line;

/// One acquire, as its caller sees it.
struct call : core::waiter {
    std::size_t client = 0;
    bool waits = false;            ///< by the model: in the queue
    time_point came{};             ///< by the model
    time_point due = core::never;  ///< by the model: its deadline, what was held added
    line* keeps = nullptr;         ///< what its caller holds meanwhile, as far as it said so
    std::size_t tried = 0;         ///< by the model
};

/// Where the model believes a connection to be. The first six are the machine's own states.
enum class phase : unsigned char {
    vacant,
    connecting,
    idle,
    leased,
    resetting,
    closing,
    free,     ///< inside an event: opened, returned clean, cleaned or checked; who gets it is not yet known
    unclean,  ///< inside an event: to be cleaned
    fresh,    ///< inside an event: to be prepared
    doomed,   ///< inside an event: it must be closed
};
inline constexpr std::size_t phases = 10;

/// What the model knows about one slot.
struct line {
    core::slot* slot = nullptr;
    std::size_t number = 0;
    phase at = phase::vacant;
    core::task doing = core::task::none;  ///< the task whose outcome counts
    bool in_task = false;                 ///< a task has yet to end, whether its outcome counts or not
    unsigned put_off = 0;                 ///< bits of the kinds of commands that will come again, for want of memory
    bool close_told = false;              ///< while closing: the face was told to, and not only to take leave
    std::uint64_t generation = 0;
    std::uint64_t turn = 0;
    std::uint64_t serial = 0;  ///< counts its sessions, so that news of an old one is known as such
    std::uint64_t freed = 0;   ///< when it was last laid among the idle ones: a number that grows
    std::size_t uses = 0;
    time_point opened_at{};
    time_point old_from{};  ///< its lifetime may be over from here
    time_point old_at{};    ///< and is over here
    time_point idle_since{};
    time_point alive_at{};
    time_point leased_since{};
    time_point task_deadline{};
    time_point check_ends{};  ///< of a check: when it has taken too long for anybody
    core::leave_reason leaving = core::leave_reason::none;
    bool broken = false;  ///< lost while leased
    bool evicted = false;
    bool suspect = false;    ///< one was lost while it was idle
    bool in_hook = false;    ///< its task has come to the program's part
    bool began = true;       ///< false: its task ended before there was memory to begin it
    bool shunned = false;    ///< idle, and the program wants another one for whose turn it is
    bool checked = false;    ///< inside an event: its check went well
    bool laid_back = false;  ///< idle after a check: where among the others is not known
    bool reported = false;   ///< its lease, as a leak
    bool lent = false;       ///< a lease holds it, even if it is closed underneath
    bool replaces = false;   ///< dialed for no other reason than to replace one
};

constexpr unsigned bit_of(core::command_kind kind) { return 1U << static_cast<unsigned>(kind); }

enum class event_kind : unsigned char {
    start,
    wait,
    cancel,
    release,
    detach,
    hook_begins,
    task_done,
    opened,
    open_failed,
    lost,
    closed,
    tick,
    reconfigure,
    cap,
    rotate,
    evict,
    suspend,
    resume,
    close,
    announce_close,
};

/// What is said to the machine.
struct event {
    event_kind kind;
    time_point now{};
    line* at = nullptr;
    call* by = nullptr;
    core::returned how = core::returned::clean;
    core::verdict verdict = core::verdict::good;
    core::dial_failure why = core::dial_failure::transient;
    const core::limits* given = nullptr;
    bool flag = false;  ///< reconfigure: replace; lost: the server ends; suspend: hold; evict: odd ones alone
    std::size_t most = 0;
    time_point deadline = core::never;  ///< of the warm-up, of the leases when the pool closes, of an announced close
    std::chrono::milliseconds grace{};  ///< of the leases then
    bool untold = false;                ///< of a release: the machine is not told the time
};

/// A second opinion: it hears each event and each action, keeps its own books, and objects when a rule of the design is
/// broken. It knows nothing of the machine's inside but its public counters and the states of its slots.
///
/// Sources: model.cpp (what an event means), model_outcomes.cpp (who is told what), model_commands.cpp (what is done with
/// a connection), model_rules.cpp (what holds after each event), model_books.cpp (the counters).
class model {
public:
    model(const core::machine& machine, const core::limits& given, bool punctual, bool patient)
        : machine_{machine},
          limits_{given},
          backoff_{limits_},
          punctual_{punctual},
          patient_{patient} {}
    model(const model&) = delete;
    model& operator=(const model&) = delete;

    /// After `try_acquire`: it gave `got`, or nothing.
    void after_try(time_point now, core::slot* got);
    /// After any other event. `armed`: when the next tick will come.
    void after(const event& e, core::actions& out, time_point armed);

    [[nodiscard]] std::size_t live() const noexcept {
        return n(phase::idle) + n(phase::leased) + n(phase::resetting) + n(phase::free) + n(phase::unclean);
    }
    [[nodiscard]] std::size_t total() const noexcept {
        return live() + n(phase::connecting) + n(phase::closing) + n(phase::doomed) + n(phase::fresh);
    }
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    [[nodiscard]] bool suspended() const noexcept { return suspended_; }
    [[nodiscard]] std::deque<line>& lines() noexcept { return lines_; }
    static line& line_of(core::slot& s) { return *static_cast<line*>(s.connection); }

private:
    [[nodiscard]] std::size_t n(phase p) const noexcept { return count_[static_cast<std::size_t>(p)]; }
    [[nodiscard]] std::size_t most() const noexcept { return std::min(limits_.max, cap_); }
    [[nodiscard]] std::size_t checking() const;
    [[nodiscard]] std::size_t coming() const { return n(phase::connecting) + (silent_ ? 0 : checking()); }
    [[nodiscard]] bool all_idle_are_shunned() const;
    void forget_shunned();
    [[nodiscard]] std::size_t keeping_alive() const;
    [[nodiscard]] std::size_t waiting_holders() const;
    [[nodiscard]] bool ring_is_closed() const;
    void set_lifetime(line& l) const;
    void put(line& l, phase to);
    void lay_idle(line& l);
    void lend(line& l);

    // model.cpp
    void happen(const event& e);
    void settings_come(const event& e);
    void hold_deadlines();
    void come_back(const event& e);
    void join(line& l);
    void on_lost(line& l, const event& e);
    void lose_patience();
    void on_hook_begins(line& l) const;
    void on_task_done(line& l, const event& e);
    void on_checked(line& l, const event& e);

    // model_outcomes.cpp
    void settle(call& c, const event& e);
    void settle_refusal(const call& c, const event& e, bool newcomer);
    void grant(call& c);
    void check_lendable(const line& l) const;
    [[nodiscard]] bool may_have_left(const line& l) const;

    // model_commands.cpp
    void carry(const core::command& c, const event& e);
    bool comes_again(const core::command& c);
    void begin_dial(core::slot& s);
    void close(time_point deadline);
    void close_if_due();
    void on_tick();
    void begin_pause();
    void end_pause();
    [[nodiscard]] bool may_be_doubted(const line& l) const;
    void begin_task(line& l, core::task what, const event& e);
    void set_task_deadline(line& l, core::task what) const;
    void hurry(line& l) const;
    void begin_close(line& l, core::leave_reason why, const event& e, bool farewell);
    void report_leak(line& l);
    void on_departure(line& l, core::leave_reason why);
    [[nodiscard]] bool may_close(const line& l, core::leave_reason why, const event& e) const;
    [[nodiscard]] bool must_leave(const line& l) const;
    [[nodiscard]] bool is_due(const line& l) const;
    [[nodiscard]] bool something_is_due() const;

    // model_rules.cpp: what must hold whenever an event has been handled
    void conclude(const core::actions& out, const event& e);
    void check(time_point armed, const event& e);
    void check_closed(time_point armed) const;
    void check_idle() const;
    void check_dials(time_point armed) const;
    void check_idle_floor(const event& e) const;
    void check_wake(time_point armed) const;
    void check_nothing_overdue() const;
    void check_leases_overdue(const line& l) const;
    void check_refusal() const;

    // model_books.cpp
    void check_books() const;
    void check_slots() const;
    void check_outcomes() const;
    void check_closes() const;

    const core::machine& machine_;
    core::limits limits_;
    backoff_watch backoff_;
    bool punctual_;
    bool patient_;
    time_point now_{};
    time_point told_{};  // the latest time that the machine knows
    std::deque<line> lines_;
    std::vector<call*> queue_;  // front: has waited longest
    std::array<std::size_t, phases> count_{};
    line* subject_ = nullptr;  // the line that the event has set free, until its lot is known

    std::size_t cap_ = static_cast<std::size_t>(-1);
    std::uint64_t generation_ = 0;
    std::uint64_t turn_ = 0;
    std::uint64_t freed_ = 0;
    time_point rotate_from_{};  // older turns are due from here
    time_point next_old_{};     // lifetimes end no earlier
    time_point pause_until_{};  // no dial for waiters beside one under way before; {}: no pause
    std::uint64_t granted_before_pause_ = 0;
    std::size_t surplus_goes_ = 0;  // inside an event: idle ones that it closes for being too many
    int credit_ = 0;                // replacements owed; -1: one is ahead
    std::size_t joined_ = 0;        // connections since the last one left for its replacement
    bool asked_ = false;            // somebody was told that the server is down since the last dial
    bool silent_ = false;           // a sign of life took too long, and none has come since
    bool started_ = false;
    bool warming_ = false;
    bool given_up_ = false;  // somebody, in this event, because the server lets nobody in
    bool suspended_ = false;
    bool held_ = false;
    bool closed_ = false;
    bool was_closed_ = false;  // before the event
    bool finished_ = false;
    time_point suspended_at_{};
    time_point warm_up_deadline_ = core::never;
    time_point close_deadline_ = core::never;
    time_point closes_at_ = core::never;  // it is announced
    std::chrono::milliseconds announced_grace_ = std::chrono::milliseconds::max();
    time_point settings_since_{};      // the last `reconfigure`
    time_point not_over_min_until_{};  // the last moment at which no more than `min` or `min_idle` were there
    time_point last_quick_{};          // somebody was served quickly, or nobody waited

    // the model's own counts
    std::uint64_t calls_ = 0, tries_ = 0, outcomes_[13] = {};
    std::uint64_t dials_ = 0, opened_ = 0, dials_failed_ = 0, ended_ = 0, leases_ = 0, detached_ = 0;
    std::uint64_t cleanings_ = 0, checks_ = 0, keepalives_ = 0, leaks_ = 0, tasks_ = 0;
    std::uint64_t left_[12] = {};
};

}  // namespace simulation
