#pragma once

#include <trunkline/histogram.hpp>

#include <cstddef>
#include <cstdint>

namespace trunkline {

/// Where the pool stands and what it has counted since its construction, all of one moment. These identities hold:
/// `total == connecting + idle + leased + resetting + closing`, `total <= max` (unless `max` was lowered live), and
/// `acquires == immediate + granted + timed_out + rejected + cancelled + failed + waiting`. What becomes of sessions
/// (`rollbacks` to `drains_given_up`, `prepares` to `cancels_refused`) is read a moment later.
struct pool_counts {
    // gauges
    std::size_t max = 0;         ///< `size.max`
    std::size_t min = 0;         ///< `size.min`
    std::size_t total = 0;       ///< sessions that the server may hold for us
    std::size_t connecting = 0;  ///< dials under way
    std::size_t idle = 0;        ///< free for the next caller
    std::size_t leased = 0;      ///< borrowed
    std::size_t resetting = 0;   ///< in the pool's own hands: cleaned up, checked or kept alive
    std::size_t closing = 0;     ///< being closed, the server not yet done with them
    std::size_t waiting = 0;     ///< callers in the queue

    // counters
    std::uint64_t acquires = 0;      ///< calls; of `try_acquire` those that found one
    std::uint64_t immediate = 0;     ///< had a connection without waiting
    std::uint64_t granted = 0;       ///< had one after waiting
    std::uint64_t timed_out = 0;     ///< waited for nothing
    std::uint64_t rejected = 0;      ///< found the queue full, or standing for too long
    std::uint64_t cancelled = 0;     ///< gave up
    std::uint64_t failed = 0;        ///< were told that no connection can be had, or that the pool is closed
    std::uint64_t dials = 0;         ///< begun
    std::uint64_t opened = 0;        ///< dials that succeeded
    std::uint64_t dials_failed = 0;  ///< dials that did not
    std::uint64_t lost = 0;          ///< connections that broke or that the server ended, whatever state they were in
    std::uint64_t reaped_idle = 0;   ///< closed because nobody used them
    std::uint64_t reaped_old = 0;    ///< closed because of their age
    std::uint64_t retired = 0;       ///< closed by `rotate`, `evict` or `reconfigure`, a lower `size.max` included
    std::uint64_t discarded = 0;     ///< closed because of the state that a lease left them in, or by `discard()`
    std::uint64_t cleanings = 0;     ///< returned in a state that had to be mended before the next had it
    std::uint64_t rollbacks = 0;     ///< returned inside a transaction, open or failed
    std::uint64_t rollbacks_failed = 0;   ///< of those, closed: it failed or exceeded `lifetime.rollback_timeout`
    std::uint64_t resets = 0;             ///< sessions reset after a lease that may have left something behind
    std::uint64_t resets_failed = 0;      ///< of those, closed because the server refused the reset
    std::uint64_t drains = 0;             ///< COPYs left in the middle, or through `query()`, whose session went on
    std::uint64_t drains_given_up = 0;    ///< sessions closed: more was left of a COPY or result than `reset` allows
    std::uint64_t checks = 0;             ///< connections asked for a sign of life, or the program's hook, for a caller
    std::uint64_t keepalives = 0;         ///< connections asked for a sign of life though nobody wanted one
    std::uint64_t invalid = 0;            ///< closed because they gave none, or the hook refused them
    std::uint64_t unprepared = 0;         ///< new connections closed because their preparation failed (`on_connect`)
    std::uint64_t worn = 0;               ///< closed because they were lent `lifetime.max_uses` times
    std::uint64_t expired = 0;            ///< leases ended at `lease.timeout`
    std::uint64_t detached = 0;           ///< connections that left with their lease
    std::uint64_t leaks = 0;              ///< leases reported at `lease.leak_threshold`
    std::uint64_t overloaded = 0;         ///< of the rejected, those that found the queue standing
    std::uint64_t deadlocks = 0;          ///< of the failed, those who closed a ring of waiting holders
    std::uint64_t prepares = 0;           ///< statements that connections prepared, in advance too
    std::uint64_t prepares_repeated = 0;  ///< of those, again: the server had it no more, or its tables had changed
    std::uint64_t prepares_closed = 0;    ///< closed, to make room for others or to be prepared anew
    std::uint64_t query_timeouts = 0;     ///< statements whose time was over, whichever side noticed it first
    std::uint64_t cancels = 0;            ///< requests to stop a statement that were sent, repeated ones too
    std::uint64_t cancels_proven = 0;     ///< sessions that went on: no request to stop could hit them any more
    std::uint64_t cancels_unproven = 0;   ///< sessions closed: that was not certain within `query.cancel_timeout`
    std::uint64_t cancels_refused = 0;    ///< requests not sent: one too many, or no memory; their sessions are closed
};

/// Calls on leases that hold no connection, in the whole process: each is a fault of the program's, and harmless.
struct lease_misuse {
    std::uint64_t used = 0;      ///< a statement on a lease that was released, moved from, or never filled
    std::uint64_t released = 0;  ///< `release()` or `discard()` on one
};
lease_misuse misused_leases() noexcept;

/// `pool_counts` and how long things took. About 20 KiB: a plain value without allocations.
struct pool_stats : pool_counts {
    histogram_snapshot wait;  ///< acquires that had to wait: from the call to the lease or the error
    histogram_snapshot use;  ///< leases that ran a statement: from the hand-over (or the first statement) to the return
    histogram_snapshot dial;  ///< dials that succeeded: from the start to the session
};

}  // namespace trunkline
