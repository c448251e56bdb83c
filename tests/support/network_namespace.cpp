#include "support/network_namespace.hpp"

#include "support/process.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace trunkline::test {

namespace {

// The two ends' hardware addresses (locally administered), and one that no station has.
constexpr unsigned char home_station = 1;
constexpr unsigned char far_station = 2;
constexpr unsigned char no_station = 3;

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

std::string hardware_address(unsigned char station) { return "02:00:00:00:00:0" + std::to_string(station); }

void ip(std::vector<std::string> command) {
    command.insert(command.begin(), "ip");
    const auto done = run_command(command);
    if (done.exit_code == 127) {
        throw std::runtime_error{"there is no program ip: install iproute2"};
    }
    if (done.exit_code != 0) {
        throw std::runtime_error{"ip failed: " + done.output};
    }
}

descriptor current_namespace() {
    descriptor opened{::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
    if (!opened.open()) {
        fail("/proc/self/ns/net");
    }
    return opened;
}

void enter(const descriptor& network) {
    if (::setns(network.get(), CLONE_NEWNET) != 0) {
        fail("setns");
    }
}

descriptor control_socket() { return descriptor{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)}; }

/// Says which station has an address, for good. A socket's ioctl concerns the namespace that the socket was made in.
void set_neighbour(const descriptor& control, const std::string& interface, const std::string& address,
                   unsigned char station) {
    arpreq entry{};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    std::memcpy(&entry.arp_pa, &at, sizeof(at));
    entry.arp_ha.sa_family = ARPHRD_ETHER;
    entry.arp_ha.sa_data[0] = 2;
    entry.arp_ha.sa_data[5] = static_cast<char>(station);
    entry.arp_flags = ATF_COM | ATF_PERM;
    interface.copy(entry.arp_dev, sizeof(entry.arp_dev) - 1);
    if (::ioctl(control.get(), SIOCSARP, &entry) != 0) {
        fail("SIOCSARP");
    }
}

}  // namespace

network_namespace::network_namespace(pid_t home_pid) : home_{current_namespace()}, home_control_{control_socket()} {
    // 198.18.0.0/15 is set aside for tests of networks: four addresses for each process that holds one.
    const auto id = static_cast<unsigned>(::getpid());
    const unsigned net = (id % (1U << 15U)) * 4;
    const auto prefix = "198." + std::to_string(18 + (net >> 16U)) + "." + std::to_string((net >> 8U) & 255U) + ".";
    home_address_ = prefix + std::to_string((net & 255U) + 1);
    far_address_ = prefix + std::to_string((net & 255U) + 2);
    home_interface_ = "tlh" + std::to_string(id);
    far_interface_ = "tlf" + std::to_string(id);
    if (::unshare(CLONE_NEWNET) != 0) {
        fail("unshare");
    }
    far_ = current_namespace();
    far_control_ = control_socket();
    // A connection that its process has closed, and that nobody acknowledges, would hold the namespace for minutes.
    std::ofstream{"/proc/sys/net/ipv4/tcp_orphan_retries"} << 1;
    make_pair(home_pid);
    set_passing(true);
}

void network_namespace::make_pair(pid_t home_pid) const {
    ip({"link", "add", far_interface_, "address", hardware_address(far_station), "type", "veth", "peer", "name",
        home_interface_, "address", hardware_address(home_station), "netns", std::to_string(home_pid)});
    ip({"address", "add", far_address_ + "/30", "dev", far_interface_});
    ip({"link", "set", far_interface_, "up"});
    enter(home_);
    ip({"address", "add", home_address_ + "/30", "dev", home_interface_});
    ip({"link", "set", home_interface_, "up"});
}

tcp_port network_namespace::listen() const {
    enter(far_);
    tcp_port made{far_address_};
    enter(home_);
    return made;
}

void network_namespace::set_passing(bool passing) const {
    set_neighbour(home_control_, home_interface_, far_address_, passing ? far_station : no_station);
    set_neighbour(far_control_, far_interface_, home_address_, passing ? home_station : no_station);
}

}  // namespace trunkline::test
