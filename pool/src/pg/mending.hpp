#pragma once

#include "session_policy.hpp"

#include <chrono>
#include <cstdint>
#include <limits>

// What a session decides, as values: no libpq, no clock, no lock.

namespace trunkline::pg {

/// What a statement that was given up still owes, and what a returned session does.
struct unrest {
    bool statement_open = false;  ///< its ReadyForQuery has not come
    bool wants_request = false;   ///< the server is to be asked to stop it, once nothing runs in front of it
    bool request_open = false;    ///< that request is under way: a signal may still come
    unsigned asked = 0;           ///< requests that were sent
    bool absorbed = false;        ///< the empty statement that takes a late signal has been answered
    bool mending = false;         ///< a lease has ended: a transaction is rolled back
    bool in_transaction = false;  ///< as the server said last
    bool rolled_back = false;     ///< the ROLLBACK has been answered
    bool reads_freely = false;    ///< what is left of the statement may be long: it goes no further than this side
};

/// What a session whose connection is free of unanswered statements (or not) does next.
enum class step : unsigned char {
    wait,       ///< for what is under way
    ask,        ///< the server to stop the statement
    absorb,     ///< a signal that came late, with an empty statement
    roll_back,  ///< the transaction
    done,       ///< quiet
    give_up,    ///< the ROLLBACK did not end the transaction
};

/// `ahead`: how many things run on the server in front of the statement that was given up.
[[nodiscard]] step next_step(const unrest& now, std::size_t ahead) noexcept;

/// Whether a pool may send another request to stop a statement: half as many as statements, and some in advance. Each
/// costs the server a process.
[[nodiscard]] bool may_ask_to_stop(std::uint64_t requests, std::uint64_t statements) noexcept;

/// How long after that many requests the server is asked once more, if the statement still runs: a 128th of the budget,
/// doubled with each, so that most are repeated soon and all of them are fewer than eight.
[[nodiscard]] std::chrono::microseconds pause_before_request(unsigned asked, std::chrono::milliseconds budget) noexcept;

/// What has run in a session since its last reset.
enum class footprint : unsigned char {
    none,      ///< nothing
    harmless,  ///< statements that leave nothing behind
    possible,  ///< one that may
};

[[nodiscard]] constexpr bool reset_is_due(reset_mode mode, footprint of) noexcept {
    switch (mode) {
    case reset_mode::smart: return of == footprint::possible;
    case reset_mode::always:
    case reset_mode::discard_all: return of != footprint::none;
    case reset_mode::off: break;
    }
    return false;
}

/// The statement_timeout that this side has set on the server.
struct armed_timeout {
    std::chrono::milliseconds value{0};  ///< 0: none
    bool certain = true;                 ///< false: a rollback or a statement of the user's may have changed it
};

/// What is sent in front of a statement.
enum class preamble : unsigned char { none, set_timeout, reset_timeout };

/// `wanted`: 0 for a statement without a time that the server should know. `failed`: inside a failed transaction, where
/// the server takes no SET.
[[nodiscard]] constexpr preamble preamble_of(armed_timeout now, std::chrono::milliseconds wanted,
                                             bool failed) noexcept {
    if (failed || (now.certain && now.value == wanted)) {
        return preamble::none;
    }
    return wanted.count() > 0 ? preamble::set_timeout : preamble::reset_timeout;
}

/// The longest time that the server takes.
constexpr std::chrono::milliseconds longest_server_timeout{std::numeric_limits<std::int32_t>::max()};

/// How much later than the server this side notices that a statement's time is over: the server's answer, which keeps
/// the session at rest, is to come first.
[[nodiscard]] std::chrono::milliseconds grace_of(std::chrono::milliseconds timeout) noexcept;

}  // namespace trunkline::pg
