#include "sockets.hpp"
#include "support/black_hole.hpp"
#include "support/catch.hpp"
#include "support/plain_libpq.hpp"
#include "support/private_network.hpp"

#include <csignal>
#include <cstdio>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

// What a black hole does to packets, seen from plain sockets.
namespace {

using namespace trunkline::test;
using namespace std::chrono_literals;

bool possible() {
    if (const auto reason = black_hole::unavailable(); !reason.empty()) {
        std::puts(("SKIPPED: " + reason).c_str());
        return false;
    }
    return true;
}

bool exists(const std::string& interface) { return ::if_nametoindex(interface.c_str()) != 0; }

TEST_CASE("what is sent into a black hole stays unacknowledged, and arrives when it is restored") {
    if (!possible()) {
        return;
    }
    const tcp_port target{"127.0.0.1"};
    black_hole net{target.number()};
    const descriptor client = connect_to(net.address(), net.port());
    REQUIRE(client.open());
    const descriptor server = accept_from(target);
    REQUIRE(say(client, "before"));
    CHECK(hear(server, 6) == "before");
    CHECK(eventually([&] { return unacknowledged(client) == 0; }));
    net.drop();
    REQUIRE(say(client, "into it"));
    REQUIRE(say(server, "out of it"));
    CHECK_FALSE(readable(server.get(), 500ms));
    CHECK_FALSE(readable(client.get(), 0ms));
    CHECK(unacknowledged(client) > 0);
    net.restore();
    CHECK(hear(server, 7) == "into it");
    CHECK(hear(client, 9) == "out of it");
    CHECK(eventually([&] { return unacknowledged(client) == 0; }));
}

TEST_CASE("nobody answers a connect into a black hole") {
    if (!possible()) {
        return;
    }
    const tcp_port target{"127.0.0.1"};
    black_hole net{target.number()};
    net.drop();
    const descriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(net.port());
    ::inet_pton(AF_INET, net.address().c_str(), &at.sin_addr);
    CHECK(::connect(client.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) < 0);
    CHECK(errno == EINPROGRESS);
    pollfd watched{client.get(), POLLOUT, 0};
    CHECK(::poll(&watched, 1, 500) == 0);
    net.restore();
    CHECK(::poll(&watched, 1, 10'000) == 1);
}

TEST_CASE("a server can be reached through a black hole") {
    if (!possible()) {
        return;
    }
    const postgres_server server;
    const black_hole net{server};
    CHECK(scalar(net.url(), "SELECT 1") == "1");
}

TEST_CASE("two black holes do not concern each other") {
    if (!possible()) {
        return;
    }
    const tcp_port target{"127.0.0.1"};
    black_hole one{target.number()};
    black_hole other{target.number()};
    one.drop();
    const descriptor client = connect_to(other.address(), other.port());
    REQUIRE(client.open());
    const descriptor server = accept_from(target);
    REQUIRE(say(client, "through"));
    CHECK(hear(server, 7) == "through");
}

TEST_CASE("a black hole leaves nothing behind") {
    if (!possible()) {
        return;
    }
    const tcp_port target{"127.0.0.1"};
    std::string interface;
    {
        black_hole net{target.number()};
        interface = net.interface();
        CHECK(exists(interface));
        const descriptor client = connect_to(net.address(), net.port());
        const descriptor server = accept_from(target);
        net.drop();
        CHECK(say(client, "unanswered"));
        CHECK(say(server, "unanswered"));
        SECTION("when it goes") {}
        SECTION("when its helper is killed") {
            ::kill(net.helper(), SIGKILL);
            CHECK_THROWS(net.restore());
        }
    }
    CHECK(eventually([&] { return !exists(interface); }));
}

TEST_CASE("a black hole goes with its process, however that ends") {
    if (!possible()) {
        return;
    }
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t owner = ::fork();
    REQUIRE(owner >= 0);
    if (owner == 0) {
        const black_hole net{std::uint16_t{1}};
        [[maybe_unused]] const auto written = ::write(pipe[1], net.interface().c_str(), net.interface().size());
        for (;;) {
            ::pause();
        }
    }
    std::array<char, 64> told{};
    CHECK(::read(pipe[0], told.data(), told.size() - 1) > 0);
    const std::string interface { told.data() };
    CHECK(exists(interface));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    CHECK(eventually([&] { return !exists(interface); }));
    ::close(pipe[0]);
    ::close(pipe[1]);
}

}  // namespace
