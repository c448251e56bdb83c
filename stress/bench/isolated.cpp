#include "isolated.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace trunkline::bench {

namespace {

constexpr char succeeded = '+';
constexpr char failed = '-';

[[noreturn]] void run_child(const std::function<std::string()>& work, int pipe) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string answer;
    try {
        answer = succeeded + work();
    } catch (const std::exception& failure) {
        answer = failed + std::string{failure.what()};
    }
    [[maybe_unused]] const auto written = ::write(pipe, answer.data(), answer.size());
    ::_exit(0);
}

}  // namespace

std::string run_isolated_bytes(const std::function<std::string()>& work) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        throw std::system_error{errno, std::generic_category(), "pipe2"};
    }
    const pid_t child = ::fork();
    if (child < 0) {
        throw std::system_error{errno, std::generic_category(), "fork"};
    }
    if (child == 0) {
        ::close(pipe[0]);
        run_child(work, pipe[1]);
    }
    ::close(pipe[1]);
    std::string answer;
    std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while ((got = ::read(pipe[0], buffer.data(), buffer.size())) > 0 || (got < 0 && errno == EINTR)) {
        answer.append(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    }
    ::close(pipe[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (answer.empty()) {
        throw std::runtime_error{"a round's process ended by signal " + std::to_string(WTERMSIG(status))};
    }
    if (answer.front() == failed) {
        throw std::runtime_error{answer.substr(1)};
    }
    return answer.substr(1);
}

}  // namespace trunkline::bench
