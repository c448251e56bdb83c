#pragma once

namespace trunkline::test {

/// Moves this process and its later children into a user namespace with the same user and a network namespace with a
/// loopback, in which they have the rights of root over the network, if they have none where they are. For a process
/// with one thread. False: it stays where it is, because it need not move or cannot.
bool take_private_network() noexcept;

}  // namespace trunkline::test
