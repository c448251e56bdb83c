#include "support/user_namespace.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trunkline::test {

namespace {

// What a child of this process sees: helpers are programs of this kind, too, and must not move again.
constexpr const char* marker = "TRUNKLINE_TEST_PRIVATE_NETWORK";

bool write_file(const char* name, const std::string& text) {
    const int file = ::open(name, O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(file);
    return written;
}

/// Lets the programs that this one starts keep its rights over the network.
bool pass_rights_on() {
    constexpr unsigned all = (1U << CAP_NET_ADMIN) | (1U << CAP_NET_RAW) | (1U << CAP_SYS_ADMIN);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> rights{};
    if (::syscall(SYS_capget, &header, rights.data()) != 0) {
        return false;
    }
    rights[0].inheritable |= all;
    if (::syscall(SYS_capset, &header, rights.data()) != 0) {
        return false;
    }
    for (const auto right : {CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN}) {
        if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, static_cast<unsigned long>(right), 0UL, 0UL) != 0) {
            return false;
        }
    }
    return true;
}

bool bring_loopback_up() {
    const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    const bool up = ::ioctl(control, SIOCSIFFLAGS, &request) == 0;
    ::close(control);
    return up;
}

bool move() {
    const auto user = std::to_string(::geteuid());
    const auto group = std::to_string(::getegid());
    return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", user + " " + user + " 1") &&
           write_file("/proc/self/gid_map", group + " " + group + " 1") && bring_loopback_up() && pass_rights_on();
}

/// Tries in a child what cannot be taken back.
template <typename Action>
bool works(Action action) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(action() ? 0 : 1);
    }
    int status = 1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && status == 0;
}

}  // namespace

bool take_private_network() noexcept {
    if (::geteuid() == 0 || std::getenv(marker) != nullptr) {
        return false;
    }
    if (works([] { return ::unshare(CLONE_NEWNET) == 0; }) || !works(move) || !move()) {
        return false;
    }
    ::setenv(marker, "1", 1);
    return true;
}

}  // namespace trunkline::test
