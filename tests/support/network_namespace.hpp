#pragma once

#include "support/tcp_port.hpp"

#include <string>
#include <sys/types.h>

namespace trunkline::test {

/// A network namespace without a name, and a veth pair from it to the namespace in which it was made and the process
/// of `home_pid` lives. It vanishes, and the pair with it, when nothing holds it any more: neither this object nor a
/// socket in it. For a process with one thread. Errors: `std::runtime_error` or `std::system_error`.
class network_namespace {
public:
    explicit network_namespace(pid_t home_pid);

    /// The address in the namespace.
    [[nodiscard]] const std::string& address() const noexcept { return far_address_; }
    /// The name of the pair's end at home.
    [[nodiscard]] const std::string& home_interface() const noexcept { return home_interface_; }
    /// A port of `address()`.
    [[nodiscard]] tcp_port listen() const;

    /// Whether packets pass between the ends. If not, each end sends to a station that does not exist, and the kernel
    /// at the other end throws away what is not for it: the senders notice nothing.
    void set_passing(bool passing) const;

private:
    void make_pair(pid_t home_pid) const;

    std::string home_interface_;
    std::string far_interface_;
    std::string home_address_;
    std::string far_address_;
    descriptor home_;          // the namespace
    descriptor far_;           // the namespace
    descriptor home_control_;  // a socket in it
    descriptor far_control_;   // a socket in it
};

}  // namespace trunkline::test
