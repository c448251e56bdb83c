#pragma once

#include <functional>
#include <optional>
#include <string>

namespace trunkline::test {

/// From the call to the end of this process its calling thread may make no system call but the last one, exit: the
/// first other one ends the process with a code that tells which. Only for children of `first_system_call`.
void forbid_system_calls();

/// Runs `work` in a forked child, which calls `forbid_system_calls()` where the section begins and `::_exit(0)` where it
/// ends. Gives the number of the first system call in the section, or nothing if there was none. Throws
/// `std::runtime_error` if the child ended in another way. For processes with one thread.
std::optional<int> first_system_call(const std::function<void()>& work);

}  // namespace trunkline::test
