#pragma once

#include "support/tcp_port.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>

/// Plain blocking sockets, to look at a line without a pool.
namespace trunkline::test {

inline constexpr std::chrono::seconds socket_patience{10};

/// Waits until `condition` holds; false if it does not in time.
template <typename Condition>
bool eventually(Condition condition, std::chrono::seconds within = socket_patience) {
    const auto give_up = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

inline bool readable(int socket, std::chrono::milliseconds within) {
    pollfd watched{socket, POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(within.count())) > 0;
}

/// Connects. Closed if that is refused; `errno` says why.
inline descriptor connect_to(const std::string& address, std::uint16_t port) {
    descriptor made{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0) {
        const int why = errno;
        made.close();
        errno = why;
    }
    return made;
}

/// The next connection of a listener; closed if none comes.
inline descriptor accept_from(const tcp_port& listener) {
    const bool came = readable(listener.listener(), socket_patience);
    return descriptor{came ? ::accept4(listener.listener(), nullptr, nullptr, SOCK_CLOEXEC) : -1};
}

inline bool say(const descriptor& socket, const std::string& text) {
    return ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

/// The next `size` bytes, or less if the other side ends before. "reset" after a reset, "silence" if nothing comes.
inline std::string hear(const descriptor& socket, std::size_t size) {
    std::string heard;
    while (heard.size() < size) {
        if (!readable(socket.get(), socket_patience)) {
            return "silence";
        }
        std::array<char, 4096> buffer{};
        const auto got = ::recv(socket.get(), buffer.data(), std::min(buffer.size(), size - heard.size()), 0);
        if (got < 0) {
            return "reset";
        }
        if (got == 0) {
            break;
        }
        heard.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return heard;
}

/// Segments that have been sent and that no kernel has acknowledged.
inline std::uint32_t unacknowledged(const descriptor& socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    ::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_unacked;
}

/// What this thread's process has used of the processors.
inline std::chrono::nanoseconds processor_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

}  // namespace trunkline::test
