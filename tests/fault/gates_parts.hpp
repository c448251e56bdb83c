#pragma once

#include "gates_stage.hpp"

#include <functional>
#include <string>

/// What the gates' tests have in common: what a coroutine does, how a gate is reached, what the server does then.
namespace trunkline::test::gates {

boost::asio::awaitable<void> acquire(stage& on);
boost::asio::awaitable<void> query(stage& on);
boost::asio::awaitable<void> query_what_is_held(stage& on);
boost::asio::awaitable<void> start(stage& on);
/// A hook that asks the server.
boost::asio::awaitable<hook_outcome> ask(connection& c);

/// Waits until it holds, and runs nothing meanwhile; false if it does not in time.
bool wait_idly(const std::function<bool()>& holds);
/// Plays `how` until it stands in the pool's queue.
void wait_in_queue(stage& at, const stage::part& how);
/// Drives until the server has had so many statements.
void wait_for_statements(stage& at, std::size_t number);
/// The next session's handshake does not begin before `answer_handshake`, however long that takes.
void hold_handshake(stage& at);

/// For the last session's handshake.
void answer_handshake(stage& at, reply how);
/// Where the line itself holds things up.
void answer_by_line(stage& at, reply how);
/// Where a part has been answered: with what is left of it.
std::function<void(stage&, reply)> answer_with(std::string bytes);
/// Where a lease of `stage::held` is what is waited for.
void answer_by_release(stage& at, reply how);

}  // namespace trunkline::test::gates
