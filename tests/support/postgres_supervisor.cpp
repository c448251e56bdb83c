#include "support/postgres_supervisor.hpp"

#include "support/helper_process.hpp"
#include "support/postgres_cluster.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace trunkline::test {

namespace {

constexpr const char* supervisor_name = "trunkline-postgres-supervisor";
constexpr int channel = helper_channel;

/// PostgreSQL refuses to run as root.
void drop_root() {
    if (::geteuid() != 0) {
        return;
    }
    const passwd* unprivileged = nullptr;
    for (const char* name : {"postgres", "nobody"}) {
        if (unprivileged = ::getpwnam(name); unprivileged != nullptr) {
            break;
        }
    }
    if (unprivileged == nullptr) {
        throw std::runtime_error{"PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: "
                                 "run this as an ordinary user"};
    }
    if (::setgroups(0, nullptr) != 0 || ::setgid(unprivileged->pw_gid) != 0 || ::setuid(unprivileged->pw_uid) != 0) {
        throw std::runtime_error{"PostgreSQL refuses to run as root, and becoming " +
                                 std::string{unprivileged->pw_name} + " failed (" + std::strerror(errno) +
                                 "): run this as an ordinary user"};
    }
}

/// Sleeps, and tells whether the owner went away meanwhile.
bool owner_gone(std::chrono::milliseconds sleep) {
    pollfd watched{channel, POLLRDHUP, 0};
    return ::poll(&watched, 1, static_cast<int>(sleep.count())) > 0;
}

std::string create(postgres_cluster& cluster, const std::vector<std::string>& request) {
    postgres_cluster::plan wanted;
    wanted.binaries = request.at(1);
    wanted.password = request.at(2);
    wanted.tls = request.at(3) == "tls";
    wanted.settings.assign(request.begin() + 4, request.end());
    cluster.create(wanted);
    return join_lines({"ok", cluster.directory(), std::to_string(cluster.port())});
}

std::string carry_out(postgres_cluster& cluster, const std::string& message) {
    const auto request = split_lines(message);
    const auto& verb = request.at(0);
    if (verb == "create") {
        return create(cluster, request);
    }
    if (verb == "start") {
        cluster.start();
    } else if (verb == "stop" || verb == "begin_stop") {
        cluster.stop(std::stoi(request.at(1)), verb == "stop");
    } else if (verb == "pause") {
        cluster.pause_or_resume(SIGSTOP);
    } else if (verb == "start_pooler") {
        return join_lines({"ok", std::to_string(cluster.start_pooler(request.at(1), request.at(2)))});
    } else if (verb == "resume") {
        cluster.pause_or_resume(SIGCONT);
    } else if (verb != "pid") {
        throw std::logic_error{"unknown request: " + verb};
    }
    return join_lines({"ok", std::to_string(cluster.pid())});
}

void serve(postgres_cluster& cluster) {
    std::vector<char> buffer(longest_message);
    for (;;) {
        const auto got = ::recv(channel, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return;
        }
        std::string answer;
        try {
            answer = carry_out(cluster, {buffer.data(), static_cast<std::size_t>(got)});
        } catch (const std::exception& failure) {
            answer = std::string{"error\n"} + failure.what();
        }
        ::send(channel, answer.data(), std::min(answer.size(), longest_message), MSG_NOSIGNAL);
    }
}

[[noreturn]] void supervise() {
    become_helper("trunkline-pg");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    try {
        drop_root();
        std::filesystem::current_path("/");
        postgres_cluster cluster{owner_gone};
        serve(cluster);
    } catch (const std::exception& failure) {
        const auto answer = std::string{"error\n"} + failure.what();
        ::send(channel, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::_exit(0);
}

/// Runs before main() of every program that links this file, and takes the process over if it is the helper.
[[gnu::constructor]] void take_over(int count, char** arguments, char**) {
    if (is_helper(supervisor_name, count, arguments)) {
        supervise();
    }
}

}  // namespace

supervisor_process start_supervisor() {
    const auto started = start_helper(supervisor_name);
    return {started.pid, started.channel};
}

std::string join_lines(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) {
        text += (&line == &lines.front() ? "" : "\n") + line;
    }
    return text;
}

std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines(1);
    for (const char c : text) {
        if (c == '\n') {
            lines.emplace_back();
        } else {
            lines.back() += c;
        }
    }
    return lines;
}

}  // namespace trunkline::test
