#include "support/black_hole.hpp"

#include "support/fault_proxy.hpp"
#include "support/helper_process.hpp"
#include "support/network_namespace.hpp"
#include "support/postgres_supervisor.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trunkline::test {

namespace {

constexpr const char* helper_name = "trunkline-black-hole";

void answer(const std::vector<std::string>& lines) {
    const auto text = join_lines(lines);
    ::send(helper_channel, text.data(), text.size(), MSG_NOSIGNAL);
}

/// The owner's next request; empty: the owner is done or dead.
std::string next_request() {
    std::array<char, 64> buffer{};
    ssize_t got = 0;
    while ((got = ::recv(helper_channel, buffer.data(), buffer.size(), 0)) < 0 && errno == EINTR) {
    }
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

/// The first request is the target's port; then each is `drop` or `restore`.
void serve() {
    const auto target = static_cast<std::uint16_t>(std::stoi(next_request()));
    const network_namespace network{::getppid()};
    auto listener = network.listen();
    answer({"ok", network.address(), std::to_string(listener.number()), network.home_interface()});
    // The proxy's thread, begun at home, connects to the target there; the listener stays in its namespace.
    const fault_proxy forwarder{std::move(listener), target};
    for (auto request = next_request(); !request.empty(); request = next_request()) {
        network.set_passing(request == "restore");
        answer({"ok"});
    }
}

[[noreturn]] void hold() {
    become_helper("trunkline-net");
    // An ordinary user's path may lack the folder of ip.
    const char* const path = std::getenv("PATH");
    ::setenv("PATH", ((path == nullptr ? "/usr/bin" : path) + std::string{":/usr/sbin:/sbin"}).c_str(), 1);
    try {
        serve();
    } catch (const std::exception& failure) {
        answer({"error", failure.what()});
    }
    ::_exit(0);
}

/// Runs before main() of every program that links this file, and takes the process over if it is the helper.
[[gnu::constructor]] void take_over(int count, char** arguments, char**) {
    if (is_helper(helper_name, count, arguments)) {
        hold();
    }
}

}  // namespace

std::string black_hole::unavailable() {
    static const std::string reason = [] {
        try {
            black_hole tried{std::uint16_t{1}};
            return std::string{};
        } catch (const std::exception& failure) {
            return std::string{"no network namespace can be made here ("} + failure.what() +
                   "): run this as root, or allow unprivileged user namespaces";
        }
    }();
    return reason;
}

black_hole::black_hole(std::uint16_t target) {
    const auto started = start_helper(helper_name);
    helper_ = started.pid;
    channel_ = started.channel;
    try {
        const auto told = split_lines(ask(std::to_string(target)));
        address_ = told.at(1);
        port_ = static_cast<std::uint16_t>(std::stoi(told.at(2)));
        interface_ = told.at(3);
    } catch (...) {
        end();
        throw;
    }
}

black_hole::~black_hole() { end(); }

void black_hole::end() noexcept {
    ::shutdown(channel_, SHUT_RDWR);
    ::close(channel_);
    while (::waitpid(helper_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::string black_hole::ask(const std::string& request) {
    const std::scoped_lock lock{mutex_};
    std::array<char, 1024> buffer{};
    ssize_t got = -1;
    if (::send(channel_, request.data(), request.size(), MSG_NOSIGNAL) >= 0) {
        while ((got = ::recv(channel_, buffer.data(), buffer.size(), 0)) < 0 && errno == EINTR) {
        }
    }
    if (got <= 0) {
        throw std::runtime_error{"the helper of the black hole is gone"};
    }
    const std::string said{buffer.data(), static_cast<std::size_t>(got)};
    if (!said.starts_with("ok")) {
        throw std::runtime_error{said.substr(said.find('\n') + 1)};
    }
    return said;
}

std::string black_hole::url(std::string_view query) const {
    auto url = url_;
    const auto from = url.rfind('@') + 1;
    url.replace(from, url.rfind('/') - from, address_ + ":" + std::to_string(port_));
    return query.empty() ? url : url + "?" + std::string{query};
}

void black_hole::drop() { ask("drop"); }

void black_hole::restore() { ask("restore"); }

}  // namespace trunkline::test
