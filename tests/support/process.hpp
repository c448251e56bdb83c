#pragma once

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace trunkline::test {

/// What a finished command left behind.
struct command_result {
    int exit_code = 0;   ///< 128 + the signal's number if one ended it
    std::string output;  ///< standard output and standard error, mixed
};

/// Starts a program, found by PATH, with its signals at their defaults. `before_exec` runs in the child and may only
/// do what a forked child may. For processes with one thread. Throws `std::system_error`.
pid_t spawn(const std::vector<std::string>& command, const std::function<void()>& before_exec = {});

/// Runs a program to its end; exit code 127 if there is none of that name. For processes with one thread.
command_result run_command(const std::vector<std::string>& command);

/// The processes whose parent is `parent`, as /proc shows them at this moment.
std::vector<pid_t> children_of(pid_t parent);

/// The letter of a process's state in /proc: `T` is stopped; 0 if there is no such process.
char state_of(pid_t pid);

/// Sends a signal to a process and then to its children.
void signal_family(pid_t parent, int signal);

}  // namespace trunkline::test
