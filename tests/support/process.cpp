#include "support/process.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace trunkline::test {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

void reset_signals() {
    for (const int signal : {SIGINT, SIGHUP, SIGTERM, SIGPIPE, SIGCHLD}) {
        ::signal(signal, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// "state ppid …" of /proc/PID/stat; empty if there is no such process.
std::string fields_of(pid_t pid) {
    std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    std::getline(in, line);
    // "pid (name) state ppid …": the name may hold anything, so look behind its last parenthesis.
    const auto behind = line.rfind(") ");
    return behind == std::string::npos ? std::string{} : line.substr(behind + 2);
}

}  // namespace

pid_t spawn(const std::vector<std::string>& command, const std::function<void()>& before_exec) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const auto& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        reset_signals();
        if (before_exec) {
            before_exec();
        }
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    return child;
}

command_result run_command(const std::vector<std::string>& command) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        fail("pipe2");
    }
    const pid_t child = spawn(command, [&pipe] {
        ::dup2(pipe[1], STDOUT_FILENO);
        ::dup2(pipe[1], STDERR_FILENO);
    });
    ::close(pipe[1]);
    command_result result;
    std::array<char, 4096> buffer{};
    for (;;) {
        const auto got = ::read(pipe[0], buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        result.output.append(buffer.data(), static_cast<std::size_t>(got));
    }
    ::close(pipe[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> children;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
        const std::string name = entry.path().filename();
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc{} || end != name.data() + name.size()) {
            continue;
        }
        const auto fields = fields_of(pid);
        pid_t of = 0;
        if (fields.size() > 2) {
            std::from_chars(fields.data() + 2, fields.data() + fields.size(), of);
        }
        if (of == parent) {
            children.push_back(pid);
        }
    }
    return children;
}

char state_of(pid_t pid) {
    const auto fields = fields_of(pid);
    return fields.empty() ? '\0' : fields.front();
}

void signal_family(pid_t parent, int signal) {
    // The parent first: once it is stopped or dead it has no more children than these.
    ::kill(parent, signal);
    for (const pid_t child : children_of(parent)) {
        ::kill(child, signal);
    }
}

}  // namespace trunkline::test
