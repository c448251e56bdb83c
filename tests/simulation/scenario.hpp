#pragma once

#include "core/limits.hpp"
#include "dice.hpp"

#include <chrono>

namespace simulation {

using std::chrono::microseconds;

/// What the seed decides about a run before it begins. Chances are per cent. The ranges are small on purpose: few
/// connections, few clients and times of the same order make the rare orders of events frequent.
struct scenario {
    trunkline::core::limits limits;
    std::size_t clients = 1;
    std::size_t steps = 0;           ///< events before the end is prepared
    bool started = true;             ///< `start` is called
    bool patient = false;            ///< the warm-up sits out a refused login
    bool punctual = true;            ///< ticks come at the moment asked for; else later
    microseconds grain{1};           ///< all times are multiples of it: coarse ones make events coincide
    microseconds think{};            ///< longest pause of a client between two calls
    microseconds hold{};             ///< longest lease
    microseconds patience{};         ///< longest time-out of a call; 0: calls wait for ever
    microseconds carry{};            ///< longest delay until a command is carried out or an outcome is told
    microseconds connect{};          ///< longest dial that ends by itself
    microseconds connect_timeout{};  ///< the face's deadline for a dial
    microseconds closing{};          ///< longest time that the server takes to let go of a session
    microseconds calm{};             ///< longest time between two changes of the server; 0: it stays up
    microseconds meddling{};         ///< longest time between two interventions of an operator; 0: none
    unsigned cancels = 0;            ///< calls that are cancelled at some moment
    unsigned tries = 0;              ///< clients' calls that are `try_acquire` alone
    unsigned nests = 0;              ///< leases whose holder waits for a second one
    unsigned unclean = 0;            ///< leases returned inside a transaction
    unsigned spoilt = 0;             ///< leases returned in a state not worth mending
    unsigned detaches = 0;           ///< leases that keep their connection
    unsigned deaths = 0;             ///< sessions that die by themselves
    unsigned ended_by_server = 0;    ///< of those, the ones that the server ends because it stops
    unsigned hangs = 0;              ///< dials and tasks that are never answered
    unsigned starved = 0;            ///< commands that the face has no memory for
    unsigned task_fails = 0;         ///< tasks that fail
    unsigned elsewhere = 0;          ///< checks that leave the connection to somebody else
    unsigned refusals = 0;           ///< checks that refuse the caller
};

scenario draw_scenario(dice& d);

/// Limits as `draw_scenario` draws them: for `reconfigure` too.
trunkline::core::limits draw_limits(dice& d);

}  // namespace simulation
