#pragma once

#include "backoff_watch.hpp"
#include "core/machine.hpp"
#include "rule.hpp"

#include <array>
#include <deque>
#include <vector>

namespace simulation {

namespace core = trunkline::core;

/// One acquire, as its caller sees it.
struct call : core::waiter {
    std::size_t client = 0;
    bool waits = false;  ///< by the model: in the queue
};

/// Where the model believes a connection to be. The first six are the machine's own states.
enum class phase : unsigned char {
    vacant,
    connecting,
    idle,
    leased,
    resetting,
    closing,
    free,     ///< inside an event: opened, returned clean or rolled back; who gets it is not yet known
    unclean,  ///< inside an event: returned inside a transaction
    doomed,   ///< inside an event: it must be closed
};

/// What the model knows about one slot.
struct line {
    core::slot* slot = nullptr;
    std::size_t number = 0;
    phase at = phase::vacant;
    std::uint64_t generation = 0;
    std::uint64_t serial = 0;  ///< counts its sessions, so that news of an old one is known as such
    time_point opened_at{};
    time_point old_from{};  ///< its lifetime may be over from here
    time_point old_at{};    ///< and is over here
    time_point idle_since{};
    time_point reset_deadline{};
    bool broken = false;  ///< lost while leased
    bool lent = false;    ///< a lease holds it, even if it is closed underneath
};

enum class event_kind : unsigned char {
    start,
    wait,
    cancel,
    release,
    reset_done,
    opened,
    open_failed,
    lost,
    closed,
    tick,
    reconfigure,
    rotate,
    close,
};

/// What is said to the machine.
struct event {
    event_kind kind;
    time_point now{};
    line* at = nullptr;
    call* by = nullptr;
    core::returned how = core::returned::clean;
    bool well = true;
    core::dial_failure why = core::dial_failure::transient;
    const core::limits* given = nullptr;
    bool replace = false;
    time_point deadline = core::never;  ///< of the warm-up, or of the leases when the pool closes
};

/// A second opinion: it hears each event and each action, keeps its own books, and objects when a rule of the design is
/// broken. It knows nothing of the machine's inside but its public counters and the states of its slots.
class model {
public:
    model(const core::machine& machine, const core::limits& given, bool punctual)
        : machine_{machine},
          limits_{given},
          backoff_{limits_},
          punctual_{punctual} {}
    model(const model&) = delete;
    model& operator=(const model&) = delete;

    /// After `try_acquire`: it gave `got`, or nothing.
    void after_try(time_point now, core::slot* got);
    /// After any other event. `armed`: when the next tick will come.
    void after(const event& e, core::actions& out, time_point armed);

    [[nodiscard]] std::size_t live() const noexcept {
        return n(phase::idle) + n(phase::leased) + n(phase::resetting) + n(phase::free) + n(phase::unclean) +
               n(phase::doomed);
    }
    [[nodiscard]] std::size_t total() const noexcept { return live() + n(phase::connecting) + n(phase::closing); }
    [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size(); }
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    [[nodiscard]] std::deque<line>& lines() noexcept { return lines_; }
    static line& line_of(core::slot& s) { return *static_cast<line*>(s.connection); }

private:
    void set_lifetime(line& l) const;
    [[nodiscard]] std::size_t n(phase p) const noexcept { return count_[static_cast<std::size_t>(p)]; }
    void put(line& l, phase to);
    void lay_idle(line& l);

    // model.cpp: what an event means, and what the machine made of it
    void happen(const event& e);
    void come_back(const event& e);
    void settle(call& c, const event& e);
    void grant(call& c);
    void carry(const core::command& c, const event& e);
    void begin_dial(core::slot& s);
    void begin_reset(line& l);
    void begin_close(line& l, core::leave_reason why, const event& e);
    void conclude(const core::actions& out, const event& e);

    // model_rules.cpp: what must hold whenever an event has been handled
    [[nodiscard]] bool may_close(const line& l, core::leave_reason why, const event& e) const;
    [[nodiscard]] bool must_leave(const line& l) const;
    void check(time_point armed);
    void check_idle() const;
    void check_dials() const;
    void check_wake(time_point armed) const;
    void check_nothing_overdue() const;
    void check_refusal() const;
    void check_books() const;

    const core::machine& machine_;
    core::limits limits_;
    backoff_watch backoff_;
    bool punctual_;
    time_point now_{};
    std::deque<line> lines_;
    std::vector<call*> queue_;  // front: has waited longest
    std::vector<line*> idle_;   // back: most recently used
    std::array<std::size_t, 9> count_{};
    line* subject_ = nullptr;  // the line that the event has set free, until its lot is known

    std::uint64_t generation_ = 0;
    bool started_ = false;
    bool warming_ = false;
    bool refused_ = false;
    bool given_up_ = false;  // somebody, in this event, because of it
    bool closed_ = false;
    bool finished_ = false;
    time_point warm_up_deadline_ = core::never;
    time_point close_deadline_ = core::never;
    time_point settings_since_{};      // the last `reconfigure`
    time_point not_over_min_until_{};  // the last moment at which no more than `min` were live

    // the model's own counts
    std::uint64_t calls_ = 0, tries_ = 0, outcomes_[7] = {};
    std::uint64_t dials_ = 0, opened_ = 0, dials_failed_ = 0, ended_ = 0, rollbacks_ = 0, leases_ = 0;
    std::uint64_t left_[8] = {};
};

}  // namespace simulation
