#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/plain_libpq.hpp"
#include "support/postgres_server.hpp"
#include "support/process.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace trunkline::test;
using namespace std::chrono_literals;

/// What a process that owns a server tells its parent.
struct owned {
    pid_t owner = 0;
    pid_t supervisor = 0;
    pid_t postmaster = 0;
    std::array<char, 256> directory{};
};

/// Starts a process that owns a server and then does `last`, or sleeps until it is killed.
owned start_owner(const std::function<void(postgres_server&)>& last) {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (const int signal : {SIGINT, SIGTERM}) {
            ::signal(signal, SIG_DFL);  // the test framework's handlers are not the owner's
        }
        try {
            postgres_server server;
            owned told{::getpid(), server.supervisor(), server.pid(), {}};
            std::strncpy(told.directory.data(), server.directory().c_str(), told.directory.size() - 1);
            [[maybe_unused]] const auto written = ::write(pipe[1], &told, sizeof(told));
            last(server);
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    ::close(pipe[1]);
    owned told;
    const auto got = ::read(pipe[0], &told, sizeof(told));
    ::close(pipe[0]);
    REQUIRE(got == static_cast<ssize_t>(sizeof(told)));
    return told;
}

bool alive(pid_t pid) {
    const char state = state_of(pid);
    return state != '\0' && state != 'Z';  // a dead orphan waits for init to collect it
}

bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// The owner has ended in whatever way: nothing of its server may be left.
void require_gone(const owned& told) {
    ::waitpid(told.owner, nullptr, 0);
    CHECK(eventually([&] { return !std::filesystem::exists(told.directory.data()); }));
    CHECK(eventually([&] { return !alive(told.postmaster); }));
    CHECK(eventually([&] { return !alive(told.supervisor); }));
}

void sleep_for_ever(postgres_server&) {
    for (;;) {
        ::pause();
    }
}

/// One server for the tests that do not change it.
postgres_server& shared() {
    static postgres_server server;
    return server;
}

uid_t user_of(pid_t pid) {
    struct stat status {};
    REQUIRE(::stat(("/proc/" + std::to_string(pid)).c_str(), &status) == 0);
    return status.st_uid;
}

}  // namespace

TEST_CASE("a throwaway server answers on TCP and on its socket, and vanishes with its object") {
    std::filesystem::path directory;
    pid_t pid = 0;
    {
        const postgres_server server;
        directory = server.directory();
        pid = server.pid();
        CHECK(scalar(server.url(), "SELECT current_database()") == "trunkline");
        CHECK(scalar(server.socket_url(), "SELECT inet_client_addr() IS NULL") == "t");
        CHECK(scalar(server.url(), "SHOW max_connections") == "120");
        CHECK(std::filesystem::exists(server.data_directory()));
        CHECK(server.log_tail().find("ready to accept connections") != std::string::npos);
    }
    CHECK_FALSE(std::filesystem::exists(directory));
    CHECK_FALSE(alive(pid));
}

TEST_CASE("a throwaway server trusts nobody") {
    const postgres_server& server = shared();
    CHECK(scalar(server.url(), "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == "0");
    CHECK(scalar(server.url(), "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'") ==
          "t");
    CHECK_THROWS_WITH(scalar(server.url_with_password("wrong"), "SELECT 1"),
                      has_text("password authentication failed"));
    CHECK_THROWS_WITH(scalar(server.socket_url_with_password("wrong"), "SELECT 1"),
                      has_text("password authentication failed"));
}

TEST_CASE("a throwaway server does not run as root") {
    const postgres_server& server = shared();
    CHECK(user_of(server.pid()) != 0);
    CHECK(user_of(server.supervisor()) != 0);
}

TEST_CASE("two throwaway servers live side by side") {
    const postgres_server one;
    const postgres_server two;
    CHECK(one.port() != two.port());
    CHECK(one.directory() != two.directory());
    CHECK(one.password() != two.password());
    CHECK(scalar(one.url(), "SHOW port") == std::to_string(one.port()));
    CHECK(scalar(two.url(), "SHOW port") == std::to_string(two.port()));
}

TEST_CASE("settings and TLS reach the server") {
    const postgres_server server{{.settings = {{"work_mem", "3MB"}, {"log_line_prefix", "it's %p "}}, .tls = true}};
    CHECK(scalar(server.url(), "SHOW work_mem") == "3MB");
    CHECK(scalar(server.url(), "SHOW log_line_prefix") == "it's %p ");
    const auto verified = server.url() + "?sslmode=verify-full&sslrootcert=" + server.certificate().string();
    CHECK(scalar(verified, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t");
}

TEST_CASE("a server that cannot start says why") {
    CHECK_THROWS_WITH(postgres_server({.settings = {{"shared_buffers", "much"}}}), has_text("shared_buffers"));
    CHECK_THROWS_WITH(postgres_server({.binaries = "/nowhere"}), has_text("no initdb and postgres in /nowhere"));
}

TEST_CASE("a stopped server comes back on its port with its data") {
    postgres_server server;
    const auto port = server.port();
    plain_connection{server.url()}.execute("CREATE TABLE kept AS SELECT 7 AS n");
    for (const auto mode : {stop_mode::smart, stop_mode::fast}) {
        server.stop(mode);
        CHECK(server.pid() == 0);
        CHECK_THROWS(scalar(server.url(), "SELECT 1"));
        server.start();
        CHECK(server.port() == port);
        CHECK(scalar(server.url(), "SELECT n FROM kept") == "7");
    }
    server.restart(stop_mode::immediate);
    CHECK(scalar(server.url(), "SELECT 1") == "1");
}

TEST_CASE("a paused server answers again once it is resumed") {
    postgres_server& server = shared();
    plain_connection session{server.url()};
    server.pause();
    CHECK(state_of(session.backend_pid()) == 'T');
    CHECK(state_of(server.pid()) == 'T');
    server.resume();
    CHECK(session.scalar("SELECT 1") == "1");
}

TEST_CASE("nothing is left of a server whose owner dies") {
    owned told;
    SECTION("by kill -9") {
        told = start_owner(sleep_for_ever);
        ::kill(told.owner, SIGKILL);
    }
    SECTION("by kill -9 while the server is paused") {
        told = start_owner([](postgres_server& server) {
            server.pause();
            sleep_for_ever(server);
        });
        REQUIRE(eventually([&] { return state_of(told.postmaster) == 'T'; }));
        ::kill(told.owner, SIGKILL);
    }
    SECTION("by Ctrl-C") {
        told = start_owner(sleep_for_ever);
        ::kill(told.owner, SIGINT);
    }
    SECTION("by SIGTERM") {
        told = start_owner(sleep_for_ever);
        ::kill(told.owner, SIGTERM);
    }
    SECTION("by an exception") {
        told = start_owner([](postgres_server&) { throw std::runtime_error{"the owner failed"}; });
    }
    SECTION("without a word, with sessions open") {
        told = start_owner([](postgres_server& server) {
            const plain_connection session{server.url()};
            ::_exit(0);
        });
    }
    require_gone(told);
}

TEST_CASE("a server whose helper is killed does not go on alone") {
    postgres_server server;
    const auto pid = server.pid();
    const auto directory = server.directory();
    ::kill(server.supervisor(), SIGKILL);
    CHECK(eventually([&] { return !alive(pid); }));
    CHECK_THROWS_WITH(server.restart(), has_text("helper"));
    std::filesystem::remove_all(directory);  // the one case where nobody is left to do it
}

TEST_CASE("a process forked from the owner does not end the server") {
    const postgres_server& server = shared();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        server.~postgres_server();
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    CHECK(scalar(server.url(), "SELECT 1") == "1");
}
