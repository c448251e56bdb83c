#include "support/helper_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

extern char** environ;

namespace trunkline::test {

helper_process start_helper(const char* name) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        throw std::system_error{errno, std::generic_category(), "socketpair"};
    }
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], helper_channel);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    std::array<char*, 2> arguments{const_cast<char*>(name), nullptr};
    pid_t pid = 0;
    const int failed = ::posix_spawn(&pid, program.c_str(), &files, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    if (failed != 0) {
        ::close(ends[0]);
        throw std::system_error{failed, std::generic_category(), "cannot start " + program + " again"};
    }
    return {pid, ends[0]};
}

bool is_helper(const char* name, int count, char** arguments) noexcept {
    return count == 1 && std::strcmp(arguments[0], name) == 0;
}

void become_helper(const char* shown) {
    // Ctrl-C and a shell's end concern the owner; a helper ends when its owner has.
    for (const int signal : {SIGINT, SIGHUP, SIGTERM, SIGPIPE}) {
        ::signal(signal, SIG_IGN);
    }
    ::signal(SIGCHLD, SIG_DFL);
    ::close_range(helper_channel + 1, ~0U, 0);
    ::fcntl(helper_channel, F_SETFD, FD_CLOEXEC);
    // A reader of the owner's output must not wait for this process.
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        ::dup2(null, standard);
    }
    ::prctl(PR_SET_NAME, shown);
}

}  // namespace trunkline::test
