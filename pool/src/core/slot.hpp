#pragma once

#include "time.hpp"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <bitset>
#include <cstdint>

namespace trunkline::core {

/// Where a connection is in its life. Exactly one of these at any time.
enum class slot_state : unsigned char {
    vacant,      ///< no connection: the slot may be taken
    connecting,  ///< a dial is under way, or the new connection is being prepared
    idle,        ///< free for the next caller
    leased,      ///< borrowed
    resetting,   ///< between two callers: being cleaned or checked
    closing,     ///< being closed; counted until the server has let go of it
};

/// What the face does with a connection that nobody holds, under a deadline.
enum class task : unsigned char {
    none,
    prepare,    ///< while connecting: make a new session ready
    check,      ///< while resetting: ask for a sign of life before it is lent
    keepalive,  ///< while resetting: the same, though nobody asks for it
    clean,      ///< while resetting: roll back, drain, whatever the last lease left
    farewell,   ///< while closing: tell the program before the goodbye
};

/// Why a connection leaves. The counters tell them apart.
enum class leave_reason : unsigned char {
    none,        ///< it does not
    lost,        ///< it broke, or the server ended it
    idle,        ///< nobody used it
    old,         ///< its lifetime is over
    worn,        ///< it was lent often enough
    retired,     ///< `rotate`, `evict`, or settings that need another session
    surplus,     ///< more than `max`, since `max` was lowered
    discarded,   ///< the lease left it in a state not worth mending, or asked for its end
    invalid,     ///< it gave no sign of life, or the program's hook refused it
    unprepared,  ///< new, and it could not be made ready
    expired,     ///< its lease lasted too long
    shutdown,    ///< the pool is closed
};

/// Room for one connection. The core owns it and never moves it.
struct slot {
    boost::intrusive::list_member_hook<> hook;        ///< in the idle stack, or among the vacant
    boost::intrusive::set_member_hook<> by_deadline;  ///< while a task is under way whose outcome still counts
    time_point opened_at = never;                     ///< when its dial succeeded
    time_point retire_at = never;                     ///< end of its lifetime
    time_point idle_since = never;     ///< as the sweeps saw it: never earlier than the truth; `never`: not yet seen
    time_point alive_at = never;       ///< the last sign of life that was asked for; `never`: none
    time_point leased_since = never;   ///< as the sweeps saw it, of the lease `seen_use`
    time_point task_deadline = never;  ///< while a task is under way
    time_point check_ends = never;     ///< when a check has taken too long not only for who waits for it
    double lifetime_share = 0;         ///< its draw from the jitter of lifetimes
    double keepalive_share = 0;        ///< its draw from the jitter of keepalives
    std::uint64_t generation = 0;      ///< the pool's, when its dial began: another one must leave when it is free
    std::uint64_t turn = 0;            ///< the pool's, when its dial began: another one is to be replaced
    std::uint64_t uses = 0;            ///< how often it was lent
    std::uint64_t seen_use = 0;        ///< the lease that the sweeps saw last
    std::size_t holder_waits = 0;      ///< calls in the queue whose caller holds this connection
    void* connection = nullptr;        ///< what the face keeps here
    slot_state state = slot_state::vacant;
    leave_reason doomed = leave_reason::none;  ///< leased, and to be closed when it comes back
    task doing = task::none;
    bool stale = false;      ///< idle for so long, or so suspect, that it is checked before it is lent
    bool reported = false;   ///< its lease, as a leak
    bool lent_out = false;   ///< a lease holds it, even if it is being closed underneath
    bool in_task = false;    ///< a task holds it, even if its outcome no longer counts
    bool in_hook = false;    ///< of the task it is the program's part
    bool shunned = false;    ///< idle, and the program wants another one for the caller whose turn it is
    bool chosen = false;     ///< by the eviction under way
    std::bitset<4> put_off;  ///< commands that there was no memory for, by their kind
};

using slot_list =
    boost::intrusive::list<slot, boost::intrusive::member_hook<slot, boost::intrusive::list_member_hook<>, &slot::hook>,
                           boost::intrusive::constant_time_size<false>>;

struct earlier_task {
    bool operator()(const slot& a, const slot& b) const noexcept { return a.task_deadline < b.task_deadline; }
};
/// The tasks under way, the earliest deadline first.
using task_set = boost::intrusive::multiset<
    slot, boost::intrusive::member_hook<slot, boost::intrusive::set_member_hook<>, &slot::by_deadline>,
    boost::intrusive::compare<earlier_task>, boost::intrusive::constant_time_size<false>>;

}  // namespace trunkline::core
