#include "support/postgres_server.hpp"

#include "support/plain_libpq.hpp"
#include "support/postgres_cluster.hpp"
#include "support/postgres_supervisor.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trunkline::test {

namespace {

constexpr char hexadecimal[] = "0123456789abcdef";

std::string random_password() {
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw std::runtime_error{"the system gives no random bytes"};
    }
    std::string password;
    for (const auto byte : bytes) {
        password += hexadecimal[byte >> 4U];
        password += hexadecimal[byte & 15U];
    }
    return password;
}

std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
            encoded += c;
        } else {
            encoded += {'%', hexadecimal[byte >> 4U], hexadecimal[byte & 15U]};
        }
    }
    return encoded;
}

std::string setting_line(const std::string& name, const std::string& value) {
    std::string quoted;
    for (const char c : value) {
        quoted += c == '\'' ? "''" : std::string(1, c);
    }
    return name + " = '" + quoted + "'";
}

int signal_of(stop_mode mode) {
    switch (mode) {
    case stop_mode::smart: return SIGTERM;
    case stop_mode::fast: return SIGINT;
    case stop_mode::immediate: return SIGQUIT;
    }
    return SIGINT;
}

}  // namespace

postgres_server::postgres_server(postgres_options options) : password_{random_password()}, owner_{::getpid()} {
    std::vector<std::string> request{"create", options.binaries, password_, options.tls ? "tls" : "plain",
                                     "max_connections = " + std::to_string(options.max_connections)};
    for (const auto& [name, value] : options.settings) {
        request.push_back(setting_line(name, value));
    }
    const auto [pid, channel] = start_supervisor();
    supervisor_ = pid;
    channel_ = channel;
    try {
        const auto answer = split_lines(ask(join_lines(request)));
        directory_ = answer.at(1);
        port_ = static_cast<std::uint16_t>(std::stoi(answer.at(2)));
        plain_connection{"postgresql://" + std::string{user} + ":" + password_ + "@127.0.0.1:" + std::to_string(port_) +
                         "/postgres"}
            .execute("CREATE DATABASE " + std::string{database});
    } catch (...) {
        end();
        throw;
    }
}

postgres_server::~postgres_server() { end(); }

void postgres_server::end() noexcept {
    // Not in a process that was forked from the owner: the server is not its to end.
    if (owner_ != ::getpid()) {
        ::close(channel_);
        return;
    }
    // Also when a forked process still holds a copy of the socket.
    ::shutdown(channel_, SHUT_RDWR);
    ::close(channel_);
    while (::waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::string postgres_server::ask(const std::string& request) const {
    const std::scoped_lock lock{mutex_};
    std::string answer(longest_message, '\0');
    if (::send(channel_, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        throw std::runtime_error{"the helper of the throwaway server is gone"};
    }
    ssize_t got = 0;
    while ((got = ::recv(channel_, answer.data(), answer.size(), 0)) < 0 && errno == EINTR) {
    }
    if (got <= 0) {
        throw std::runtime_error{"the helper of the throwaway server is gone"};
    }
    answer.resize(static_cast<std::size_t>(got));
    constexpr std::string_view error = "error\n";
    if (answer.starts_with(error)) {
        throw std::runtime_error{answer.substr(error.size())};
    }
    return answer;
}

std::string postgres_server::url_with_password(std::string_view password) const {
    return "postgresql://" + std::string{user} + ":" + percent_encoded(password) +
           "@127.0.0.1:" + std::to_string(port_) + "/" + std::string{database};
}

std::string postgres_server::socket_url_with_password(std::string_view password) const {
    return "postgresql://" + std::string{user} + ":" + percent_encoded(password) + "@/" + std::string{database} +
           "?host=" + percent_encoded(directory_.string()) + "&port=" + std::to_string(port_);
}

std::string postgres_server::log_tail(std::size_t lines) const { return tail_of(log_file(), lines); }

pid_t postgres_server::pid() const { return std::stoi(split_lines(ask("pid")).at(1)); }

void postgres_server::stop(stop_mode mode) { ask(join_lines({"stop", std::to_string(signal_of(mode))})); }

void postgres_server::begin_stop(stop_mode mode) { ask(join_lines({"begin_stop", std::to_string(signal_of(mode))})); }

void postgres_server::start() { ask("start"); }

void postgres_server::restart(stop_mode mode) {
    stop(mode);
    start();
}

std::string postgres_server::start_pooler(std::size_t sessions) {
    const auto port = split_lines(ask(join_lines({"start_pooler", std::to_string(sessions), password_}))).at(1);
    return "postgresql://" + std::string{user} + ":" + password_ + "@127.0.0.1:" + port + "/" + std::string{database};
}

bool postgres_server::pooler_is_installed() { return std::filesystem::exists("/usr/sbin/pgbouncer"); }

void postgres_server::pause() { ask("pause"); }

void postgres_server::resume() { ask("resume"); }

}  // namespace trunkline::test
