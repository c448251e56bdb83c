#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

namespace trunkline::test {

/// The helper process that owns a throwaway server: this program, started again under another name, in a session of
/// its own. It carries requests out one by one and answers each; when the channel closes, because its owner is done
/// or dead, it ends the server, removes the directory and exits.
struct supervisor_process {
    pid_t pid = 0;
    int channel = -1;  ///< a SOCK_SEQPACKET socket, closed on exec
};

/// Starts the helper. Throws `std::system_error`.
supervisor_process start_supervisor();

/// A request or an answer: a word and what belongs to it, none with a line break in it.
std::string join_lines(const std::vector<std::string>& lines);
std::vector<std::string> split_lines(const std::string& text);

/// The largest request or answer.
inline constexpr std::size_t longest_message = std::size_t{1} << 16;

}  // namespace trunkline::test
