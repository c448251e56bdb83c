#include "support/syscall_ban.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace trunkline::test {

namespace {

constexpr int failed = 255;
constexpr int no_section = 254;  // the child ended before or without a section
constexpr int highest_reported = 252;

// The code is the call's number and one more; 0 is a clean end.
void report(int, siginfo_t* about, void*) {
    ::_exit(1 + (about->si_syscall < highest_reported ? about->si_syscall : highest_reported));
}

}  // namespace

void forbid_system_calls() {
    struct sigaction action {};
    action.sa_sigaction = report;
    action.sa_flags = SA_SIGINFO;
    std::array<sock_filter, 4> program{
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::sigaction(SIGSYS, &action, nullptr) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        ::_exit(failed);
    }
}

std::optional<int> first_system_call(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child < 0) {
        throw std::system_error{errno, std::generic_category(), "fork"};
    }
    if (child == 0) {
        try {
            work();
        } catch (...) {
            ::_exit(failed);
        }
        ::_exit(no_section);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : failed;
    if (code == failed || code == no_section) {
        throw std::runtime_error{code == failed ? "the child failed before its section or was killed"
                                                : "the child ended without a section"};
    }
    return code == 0 ? std::nullopt : std::optional{code - 1};
}

}  // namespace trunkline::test
