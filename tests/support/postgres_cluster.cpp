#include "support/postgres_cluster.hpp"

#include "support/postgres_binaries.hpp"
#include "support/process.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace trunkline::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 30s;     // a start or a stop on a busy machine
constexpr auto last_grace = 3s;    // for the immediate stop, before SIGKILL
constexpr int port_attempts = 10;  // another process may take the port between the search and the start
// The path of a UNIX socket has 107 bytes; ours adds "/.s.PGSQL.65535.lock" and our own directory's name.
constexpr std::size_t longest_temporary = 60;

std::uint16_t free_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    const bool found = ::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(probe);
    if (!found) {
        throw std::runtime_error{"no free TCP port on 127.0.0.1"};
    }
    return ntohs(address.sin_port);
}

fs::path make_directory() {
    const char* wanted = std::getenv("TMPDIR");
    for (const std::string parent : {wanted == nullptr ? "/tmp" : wanted, "/tmp"}) {
        std::string name = parent + "/trunkline-postgres-XXXXXX";
        if (parent.size() <= longest_temporary && ::mkdtemp(name.data()) != nullptr) {
            return name;
        }
    }
    throw std::runtime_error{"cannot make a directory in /tmp: is it full or not writable? set TMPDIR to one that is"};
}

void write_private(const fs::path& file, const std::string& text) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const auto written = ::write(descriptor, text.data(), text.size());
    ::close(descriptor);
    if (written != static_cast<ssize_t>(text.size())) {
        throw std::runtime_error{"cannot write " + file.string()};
    }
}

}  // namespace

std::string tail_of(const fs::path& file, std::size_t lines) {
    std::ifstream in{file};
    std::deque<std::string> kept;
    for (std::string line; std::getline(in, line);) {
        kept.push_back(std::move(line));
        if (kept.size() > lines) {
            kept.pop_front();
        }
    }
    std::string text;
    for (const auto& line : kept) {
        text += line + '\n';
    }
    return text;
}

void postgres_cluster::create(const plan& wanted) {
    binaries_ = find_postgres_binaries(wanted.binaries);
    directory_ = make_directory();
    initialise(wanted);
    if (wanted.tls) {
        make_certificate();
    }
    write_settings(wanted);
    for (int attempt = 1;; ++attempt) {
        port_ = free_port();
        launch();
        if (wait_until_ready()) {
            return;
        }
        const auto log = tail_of(directory_ / "log", 20);
        if (attempt == port_attempts || log.find("in use") == std::string::npos) {
            throw std::runtime_error{"PostgreSQL does not start; the end of its log:\n" + log};
        }
    }
}

void postgres_cluster::initialise(const plan& wanted) {
    const auto password_file = directory_ / "password";
    write_private(password_file, wanted.password + '\n');
    const auto made = run_command({binaries_ / "initdb", "--pgdata", directory_ / "data", "--username", "postgres",
                                   "--auth", "scram-sha-256", "--pwfile", password_file, "--encoding", "UTF8",
                                   "--locale", "C.UTF-8", "--no-sync", "--no-instructions"});
    fs::remove(password_file);
    if (made.exit_code != 0) {
        throw std::runtime_error{"initdb failed:\n" + made.output};
    }
}

void postgres_cluster::make_certificate() const {
    const auto made =
        run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                     "-keyout", directory_ / "server.key", "-out", directory_ / "server.crt"});
    if (made.exit_code != 0) {
        throw std::runtime_error{"openssl cannot make a certificate (apt-get install openssl?):\n" + made.output};
    }
    fs::permissions(directory_ / "server.key", fs::perms::owner_read | fs::perms::owner_write);
}

void postgres_cluster::write_settings(const plan& wanted) const {
    std::ofstream out{directory_ / "data" / "postgresql.conf", std::ios::app};
    out << "listen_addresses = '127.0.0.1'\nunix_socket_directories = '" << directory_.string() << "'\n"
        << "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
        << "log_line_prefix = '%m [%p] %a '\nlogging_collector = off\n";
    if (wanted.tls) {
        out << "ssl = on\nssl_cert_file = '" << (directory_ / "server.crt").string() << "'\nssl_key_file = '"
            << (directory_ / "server.key").string() << "'\n";
    }
    for (const auto& line : wanted.settings) {
        out << line << '\n';
    }
    if (!out.flush()) {
        throw std::runtime_error{"cannot write postgresql.conf: is the disk full?"};
    }
}

void postgres_cluster::start() {
    if (pid() != 0) {
        throw std::runtime_error{"the server runs already"};
    }
    launch();
    if (!wait_until_ready()) {
        throw std::runtime_error{"PostgreSQL does not start; the end of its log:\n" + tail_of(directory_ / "log", 20)};
    }
}

void postgres_cluster::launch() {
    const std::string log = directory_ / "log";
    fs::remove(directory_ / "data" / "postmaster.pid");
    postmaster_ = spawn({binaries_ / "postgres", "-D", directory_ / "data", "-p", std::to_string(port_)}, [&log] {
        // Should this helper be killed, the server stops at once too.
        ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(out, STDERR_FILENO);
        ::close(out);
    });
}

bool postgres_cluster::wait_until_ready() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (pid() != 0 && std::chrono::steady_clock::now() < deadline) {
        // The file's eighth line is the postmaster's state: what pg_ctl looks at.
        std::ifstream in{directory_ / "data" / "postmaster.pid"};
        std::string line;
        int count = 0;
        while (count < 8 && std::getline(in, line)) {
            ++count;
        }
        if (count == 8 && line.starts_with("ready")) {
            return true;
        }
        if (interrupted_(5ms)) {
            break;
        }
    }
    stop(SIGQUIT, true);
    return false;
}

bool postgres_cluster::wait_for_end(std::chrono::milliseconds at_most) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    while (pid() != 0) {
        if (std::chrono::steady_clock::now() >= deadline || interrupted_(2ms)) {
            return false;
        }
    }
    return true;
}

void postgres_cluster::stop(int signal, bool wait) {
    if (pid() == 0) {
        return;
    }
    ::kill(postmaster_, signal);
    if (wait && !wait_for_end(patience)) {
        throw std::runtime_error{"PostgreSQL does not stop; the end of its log:\n" + tail_of(directory_ / "log", 20)};
    }
}

void postgres_cluster::pause_or_resume(int signal) {
    if (pid() == 0) {
        throw std::runtime_error{"the server does not run"};
    }
    signal_family(postmaster_, signal);
    if (signal == SIGSTOP) {
        wait_until_stopped();
    }
}

void postgres_cluster::wait_until_stopped() {
    // The kernel stops a process a little after the signal was sent.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto runs = [](pid_t pid) {
        const char state = state_of(pid);
        return state != 'T' && state != 'Z' && state != '\0';
    };
    auto family = children_of(postmaster_);
    family.push_back(postmaster_);
    while (std::any_of(family.begin(), family.end(), runs)) {
        if (std::chrono::steady_clock::now() >= deadline || interrupted_(1ms)) {
            throw std::runtime_error{"PostgreSQL does not stop on SIGSTOP"};
        }
    }
}

std::uint16_t postgres_cluster::start_pooler(const std::string& sessions, const std::string& password) {
    const std::string program = "/usr/sbin/pgbouncer";
    const auto settings = directory_ / "pgbouncer.ini";
    const auto log = directory_ / "pgbouncer.log";
    const auto port = free_port();
    const auto users = directory_ / "pgbouncer.users";
    write_private(users, "\"postgres\" \"" + password + "\"\n");
    write_private(settings, "[databases]\n* = host=" + directory_.string() + " port=" + std::to_string(port_) +
                                "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " + std::to_string(port) +
                                "\nunix_socket_dir =\nauth_type = plain\nauth_file = " + users.string() +
                                "\npool_mode = transaction\ndefault_pool_size = " + sessions +
                                "\nmax_client_conn = 2000\nlogfile = " + log.string() + "\n");
    const auto pooler = spawn({program, "-q", settings}, [] { ::prctl(PR_SET_PDEATHSIG, SIGKILL); });
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (tail_of(log, 100).find("listening on 127.0.0.1") == std::string::npos) {
        if (::waitpid(pooler, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() >= deadline ||
            interrupted_(5ms)) {
            throw std::runtime_error{"PgBouncer does not start; the end of its log:\n" + tail_of(log, 20)};
        }
    }
    return port;
}

pid_t postgres_cluster::pid() {
    if (postmaster_ != 0 && ::waitpid(postmaster_, nullptr, WNOHANG) != 0) {
        postmaster_ = 0;
    }
    return postmaster_;
}

void postgres_cluster::destroy() noexcept {
    const auto deadline = std::chrono::steady_clock::now() + last_grace;
    if (pid() != 0) {
        signal_family(postmaster_, SIGCONT);
        ::kill(postmaster_, SIGQUIT);
        while (pid() != 0 && std::chrono::steady_clock::now() < deadline) {
            ::usleep(2'000);
        }
        if (pid() != 0) {
            signal_family(postmaster_, SIGKILL);
        }
    }
    // Server processes that lost their postmaster are our children now, for this process adopts orphans.
    for (const pid_t orphan : children_of(::getpid())) {
        ::kill(orphan, SIGKILL);
    }
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    postmaster_ = 0;
    std::error_code ignored;
    if (!directory_.empty()) {
        fs::remove_all(directory_, ignored);
    }
    directory_.clear();
}

}  // namespace trunkline::test
