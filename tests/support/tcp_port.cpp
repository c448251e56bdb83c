#include "support/tcp_port.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace trunkline::test {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

descriptor bound_socket(const std::string& address, std::uint16_t port) {
    descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!made.open()) {
        fail("socket");
    }
    const int on = 1;
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    if (::inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1) {
        throw std::invalid_argument{"not an IPv4 address: " + address};
    }
    // Two sockets may be bound to one port if both say so and none listens yet.
    if (::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        ::bind(made.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0) {
        fail("bind");
    }
    return made;
}

}  // namespace

void descriptor::close() noexcept {
    if (number_ >= 0) {
        ::close(std::exchange(number_, -1));
    }
}

tcp_port::tcp_port(std::string address) : address_{std::move(address)}, reserved_{bound_socket(address_, 0)} {
    sockaddr_in at{};
    socklen_t size = sizeof(at);
    if (::getsockname(reserved_.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) {
        fail("getsockname");
    }
    number_ = ntohs(at.sin_port);
    listen();
}

void tcp_port::listen() {
    if (listener_.open()) {
        return;
    }
    descriptor made = bound_socket(address_, number_);
    if (::listen(made.get(), 1024) != 0) {
        fail("listen");
    }
    listener_ = std::move(made);
}

}  // namespace trunkline::test
