#pragma once

#include "time.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>

namespace trunkline::core {

/// Where a connection is in its life. Exactly one of these at any time.
enum class slot_state : unsigned char {
    vacant,      ///< no connection: the slot may be taken
    connecting,  ///< a dial is under way
    idle,        ///< free for the next caller
    leased,      ///< borrowed
    resetting,   ///< returned, being rolled back
    closing,     ///< being closed; counted until the server has let go of it
};

/// Why a connection leaves. The counters tell them apart.
enum class leave_reason : unsigned char {
    none,       ///< it does not
    lost,       ///< it broke, or the server ended it
    idle,       ///< nobody used it
    old,        ///< its lifetime is over
    retired,    ///< `rotate`, or settings that need another session
    surplus,    ///< more than `max`, since `max` was lowered
    discarded,  ///< the lease left it in a state not worth mending, or asked for its end
    shutdown,   ///< the pool is closed
};

/// Room for one connection. The core owns it and never moves it.
struct slot {
    boost::intrusive::list_member_hook<> hook;  ///< in the idle stack or the list of resets
    time_point opened_at = never;               ///< when its dial succeeded
    double lifetime_share = 0;                  ///< its draw from the jitter of lifetimes
    time_point retire_at = never;               ///< end of its lifetime
    time_point idle_since = never;      ///< as the sweeps saw it: never earlier than the truth; `never`: not yet seen
    time_point reset_deadline = never;  ///< while resetting
    std::uint64_t generation = 0;       ///< the pool's, when its dial began
    void* connection = nullptr;         ///< what the face keeps here
    slot_state state = slot_state::vacant;
    leave_reason doomed = leave_reason::none;  ///< leased, and to be closed when it comes back
    bool lent_out = false;                     ///< a lease holds it, even if it is being closed underneath
    bool rolling_back = false;                 ///< a rollback holds it, even if it is being closed underneath
};

using slot_list =
    boost::intrusive::list<slot, boost::intrusive::member_hook<slot, boost::intrusive::list_member_hook<>, &slot::hook>,
                           boost::intrusive::constant_time_size<false>>;

}  // namespace trunkline::core
