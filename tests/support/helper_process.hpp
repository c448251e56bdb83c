#pragma once

#include <sys/types.h>

namespace trunkline::test {

/// A helper of this process: this program, started again under another name, in a session of its own. The two talk
/// over a SOCK_SEQPACKET socket. When the owner is done or dead, however it died, the helper reads the end of it.
struct helper_process {
    pid_t pid = 0;
    int channel = -1;  ///< the owner's end, closed on exec
};

/// The number under which the helper finds its end.
inline constexpr int helper_channel = 3;

/// Starts a helper, whose first argument is `name`. Throws `std::system_error`.
helper_process start_helper(const char* name);

/// Whether the arguments of a program are those of the helper of that name. To be asked by a constructor function
/// that runs before main().
bool is_helper(const char* name, int count, char** arguments) noexcept;

/// The first thing a helper does: it ignores the signals that concern its owner, closes what it inherited and leaves
/// the owner's standard streams alone. `shown` is what `ps` calls it.
void become_helper(const char* shown);

}  // namespace trunkline::test
