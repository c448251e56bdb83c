#include "sockets.hpp"
#include "support/catch.hpp"
#include "support/fault_proxy.hpp"
#include "support/plain_libpq.hpp"

#include <atomic>
#include <csignal>
#include <vector>

// What the fault proxy does to bytes, seen from plain sockets on both sides of it.
namespace {

using namespace trunkline::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// A server that is a test, and clients of it through the proxy.
struct line {
    tcp_port target{"127.0.0.1"};
    fault_proxy proxy{target.number()};
    descriptor client;
    descriptor server;

    void connect() {
        client = connect_to("127.0.0.1", proxy.port());
        server = accept_from(target);
        REQUIRE(client.open());
        REQUIRE(server.open());
    }
};

std::chrono::milliseconds since(steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin);
}

TEST_CASE("the proxy passes on what both sides say, and counts it") {
    line on;
    on.connect();
    for (int i = 0; i < 3; ++i) {
        REQUIRE(say(on.client, "question"));
        CHECK(hear(on.server, 8) == "question");
        REQUIRE(say(on.server, "an answer"));
        CHECK(hear(on.client, 9) == "an answer");
    }
    const std::string much(3'000'000, 'x');
    std::jthread speaker{[&] { CHECK(say(on.server, much)); }};
    CHECK(hear(on.client, much.size()) == much);
    speaker.join();
    auto counts = on.proxy.counts();
    CHECK(counts.accepted == 1);
    CHECK(counts.open == 1);
    CHECK(counts.bursts == 3);
    CHECK(counts.to_server == 24);
    CHECK(counts.from_client == 24);
    CHECK(counts.to_client == 27 + much.size());
    on.client.close();
    CHECK(hear(on.server, 1).empty());
    on.server.close();
    CHECK(eventually([&] { return on.proxy.counts().open == 0; }));
    counts = on.proxy.counts();
    CHECK(counts.most_open == 1);
    CHECK(counts.to_server == 24);
}

TEST_CASE("the proxy counts how many sessions at once had a server that was not ready yet") {
    line first;
    first.connect();
    const auto connect_another = [&] {
        auto client = connect_to("127.0.0.1", first.proxy.port());
        auto server = accept_from(first.target);
        REQUIRE(server.open());
        return std::pair{std::move(client), std::move(server)};
    };
    const std::string ready{"Z\0\0\0\5I", 6};
    REQUIRE(say(first.server, "R" + ready.substr(0, 3)));  // in two pieces
    CHECK(hear(first.client, 4).size() == 4);
    const auto second = connect_another();
    CHECK(first.proxy.counts().most_handshakes == 2);
    REQUIRE(say(first.server, ready.substr(3)));
    CHECK(hear(first.client, 3).size() == 3);
    const auto third = connect_another();  // as the first is no longer one of them
    CHECK(first.proxy.counts().most_handshakes == 2);
    const auto fourth = connect_another();
    CHECK(first.proxy.counts().most_handshakes == 3);
    CHECK(first.proxy.counts().most_open == 4);
}

TEST_CASE("the proxy delays each direction by itself, live") {
    line on;
    on.connect();
    on.proxy.set({.to_server = {.delay = 100ms}});
    auto begin = steady_clock::now();
    REQUIRE(say(on.client, "a"));
    CHECK(hear(on.server, 1) == "a");
    CHECK(since(begin) >= 100ms);
    on.proxy.set({.to_client = {.delay = 200ms}});
    begin = steady_clock::now();
    REQUIRE(say(on.client, "b"));
    CHECK(hear(on.server, 1) == "b");
    REQUIRE(say(on.server, "c"));
    CHECK_FALSE(readable(on.client.get(), 50ms));
    CHECK(hear(on.client, 1) == "c");
    CHECK(since(begin) >= 200ms);
}

TEST_CASE("the proxy limits the bandwidth") {
    line on;
    on.connect();
    on.proxy.set({.to_client = {.bandwidth = 100'000}});
    const std::string text(20'000, 'x');
    const auto begin = steady_clock::now();
    REQUIRE(say(on.server, text));
    CHECK(hear(on.client, text.size()) == text);
    CHECK(since(begin) >= 180ms);
}

TEST_CASE("the proxy splits what is said into packets that arrive one by one") {
    line on;
    on.connect();
    on.proxy.set({.to_client = {.packet = 3, .packet_gap = 20ms}});
    REQUIRE(say(on.server, "abcdefgh"));
    std::vector<std::string> heard;
    while (readable(on.client.get(), 1s)) {
        std::array<char, 100> buffer{};
        const auto got = ::recv(on.client.get(), buffer.data(), buffer.size(), 0);
        REQUIRE(got > 0);
        heard.emplace_back(buffer.data(), static_cast<std::size_t>(got));
        CHECK(got % 3 != 1);  // a slow reader finds two packets, never part of one
    }
    CHECK(heard.size() >= 2);
}

TEST_CASE("the proxy cuts a session at a byte, in order or with a reset") {
    line on;
    SECTION("in order") {
        on.proxy.set({.to_client = {.cut_at = 5}}, sessions_of_proxy::next);
        on.connect();
        REQUIRE(say(on.server, "abcdefgh"));
        CHECK(hear(on.client, 8) == "abcde");
        CHECK(hear(on.server, 1).empty());
    }
    SECTION("with a reset") {
        on.proxy.set({.to_server = {.cut_at = 5, .cut_by = proxy_end::reset}}, sessions_of_proxy::next);
        on.connect();
        REQUIRE(say(on.client, "abcdefgh"));
        CHECK(hear(on.client, 1) == "reset");
    }
    SECTION("before the first byte") {
        on.proxy.set({.to_server = {.cut_at = 0}}, sessions_of_proxy::next);
        on.client = connect_to("127.0.0.1", on.proxy.port());
        CHECK(hear(on.client, 1).empty());
        on.server = accept_from(on.target);  // it was connected, too, for a moment
    }
    CHECK(eventually([&] { return on.proxy.counts().open == 0; }));
    on.connect();  // the next session is whole
    REQUIRE(say(on.server, "abcdefgh"));
    CHECK(hear(on.client, 8) == "abcdefgh");
}

TEST_CASE("the proxy's half-close ends one direction") {
    line on;
    on.connect();
    on.proxy.half_close(proxy_direction::to_client);
    CHECK(hear(on.client, 1).empty());
    REQUIRE(say(on.client, "still"));
    CHECK(hear(on.server, 5) == "still");
    REQUIRE(say(on.server, "unheard"));
    CHECK(on.proxy.counts().open == 1);
    on.client.close();
    CHECK(hear(on.server, 1).empty());
    on.server.close();
    CHECK(eventually([&] { return on.proxy.counts().open == 0; }));
}

TEST_CASE("the proxy ends sessions in order or with a reset, and passes on a reset") {
    line on;
    on.connect();
    on.proxy.end_all(proxy_end::close);
    CHECK(hear(on.client, 1).empty());
    CHECK(hear(on.server, 1).empty());
    on.connect();
    on.proxy.end_all(proxy_end::reset);
    CHECK(hear(on.client, 1) == "reset");
    CHECK(hear(on.server, 1) == "reset");
    on.connect();
    const linger abortive{1, 0};
    ::setsockopt(on.server.get(), SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
    on.server.close();
    CHECK(hear(on.client, 1) == "reset");
}

TEST_CASE("a stopped proxy stays open and says nothing, and then says everything") {
    line on;
    on.connect();
    on.proxy.set({.to_server = {.stopped = true}, .to_client = {.stopped = true}});
    REQUIRE(say(on.client, "one"));
    REQUIRE(say(on.server, "two"));
    CHECK_FALSE(readable(on.server.get(), 100ms));
    CHECK_FALSE(readable(on.client.get(), 0ms));
    CHECK(unacknowledged(on.client) == 0);  // the proxy's kernel has it: not what a black hole does
    on.proxy.heal();
    CHECK(hear(on.server, 3) == "one");
    CHECK(hear(on.client, 3) == "two");
}

TEST_CASE("a change may concern the open sessions, the next one, or those that come") {
    line on;
    on.connect();
    line_faults frozen{.to_server = {.stopped = true}};
    on.proxy.set(frozen, sessions_of_proxy::come);
    REQUIRE(say(on.client, "a"));
    CHECK(hear(on.server, 1) == "a");
    const descriptor second = connect_to("127.0.0.1", on.proxy.port());
    const descriptor second_server = accept_from(on.target);
    REQUIRE(say(second, "b"));
    CHECK_FALSE(readable(second_server.get(), 50ms));
    on.proxy.set({}, sessions_of_proxy::open);
    CHECK(hear(second_server, 1) == "b");
    const descriptor third = connect_to("127.0.0.1", on.proxy.port());
    const descriptor third_server = accept_from(on.target);
    REQUIRE(say(third, "c"));
    CHECK_FALSE(readable(third_server.get(), 50ms));
    CHECK(on.proxy.counts().open == 3);
    CHECK(on.proxy.counts().most_open == 3);
}

TEST_CASE("the proxy's door refuses, closes or resets, and opens again on the same port") {
    line on;
    on.proxy.set_door(proxy_door::refused);
    CHECK_FALSE(connect_to("127.0.0.1", on.proxy.port()).open());
    CHECK(errno == ECONNREFUSED);
    on.proxy.set_door(proxy_door::closed);
    CHECK(hear(connect_to("127.0.0.1", on.proxy.port()), 1).empty());
    on.proxy.set_door(proxy_door::reset);
    CHECK(hear(connect_to("127.0.0.1", on.proxy.port()), 1) == "reset");
    on.proxy.set_door(proxy_door::refused);
    on.proxy.heal();
    on.connect();
    CHECK(on.proxy.counts().accepted == 3);
    CHECK(on.proxy.counts().open == 1);
}

TEST_CASE("a proxy whose target refuses resets its clients") {
    tcp_port target{"127.0.0.1"};
    target.refuse();
    fault_proxy proxy{target.number()};
    CHECK(hear(connect_to("127.0.0.1", proxy.port()), 1) == "reset");
    CHECK(eventually([&] { return proxy.counts().open == 0; }));
}

TEST_CASE("an idle proxy uses no processor time") {
    line on;
    on.connect();
    on.proxy.set({.to_server = {.delay = 1ms, .stopped = true}});
    REQUIRE(say(on.client, "held back"));
    on.proxy.half_close(proxy_direction::to_client);
    std::this_thread::sleep_for(50ms);
    const auto before = processor_time();
    std::this_thread::sleep_for(500ms);
    CHECK(processor_time() - before < 50ms);
}

TEST_CASE("a proxy may be used from many threads, and goes with sessions open") {
    line on;
    std::vector<descriptor> clients;
    for (int i = 0; i < 50; ++i) {
        clients.push_back(connect_to("127.0.0.1", on.proxy.port()));
    }
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int k = 0; k < 50; ++k) {
                    on.proxy.set({.to_client = {.delay = std::chrono::milliseconds{k}}});
                    (void)on.proxy.counts();
                    on.proxy.heal();
                }
            });
        }
    }
    CHECK(eventually([&] { return on.proxy.counts().open == 50; }));
}

TEST_CASE("a libpq session through the proxy needs three bursts, and one for each statement") {
    const postgres_server server;
    const fault_proxy proxy{server};
    plain_connection session{proxy.url(server)};
    CHECK(proxy.counts().bursts == 3);  // startup; SCRAM's two
    CHECK(session.scalar("SELECT 1") == "1");
    CHECK(proxy.counts().bursts == 4);
}

}  // namespace
