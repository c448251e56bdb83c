#pragma once

// Lets an ordinary user's program make black holes. Include it in exactly one source of a program. If this process may
// not make network namespaces but may make user namespaces, the whole program moves into a network of its own, with
// nothing but a loopback in it, before main(): a process with threads cannot. As root it does nothing.

#include "support/user_namespace.hpp"

namespace trunkline::test::detail {
[[gnu::constructor]] inline void enter_private_network() { take_private_network(); }
}  // namespace trunkline::test::detail
