#include "connection_fixture.hpp"
#include "support/catch.hpp"
#include "support/matchers.hpp"
#include "support/scripted_server.hpp"

#include <trunkline/error.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using fixture::dial;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

std::size_t open_descriptors() {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{}));
}

bool all_closed(const scripted_server& server) {
    return server.wait_for([&] { return server.count().connections == 0; });
}

/// The dials of one handshake after the other, each cut at its byte, and what is left of them.
void cut_everywhere(afterwards how) {
    scripted_server server;
    pg::dialer by;
    REQUIRE_FALSE(dial(by, server.url()).code);  // the dialer's thread has its own descriptors from now on
    REQUIRE(all_closed(server));
    const auto descriptors = open_descriptors();
    for (std::size_t byte = 0; byte < scripted_server::handshake_size(); ++byte) {
        INFO("after byte " << byte);
        server.greet_next(stops_at(byte, how));
        const auto cut = dial(by, server.url());
        CHECK(cut.code == pool_errc::connect_failed);
        CHECK(cut.code == errc::server_unavailable);
        CHECK_FALSE(cut.connection);
        CHECK(cut.said.sqlstate.empty());
        CHECK(cut.said.message.starts_with("127.0.0.1:" + std::to_string(server.port()) + ": "));
        CHECK(server.count().accepted == byte + 2);  // nothing was dialed a second time
    }
    REQUIRE(all_closed(server));
    CHECK(open_descriptors() == descriptors);
    CHECK(server.count().most_open == 1);
    CHECK_FALSE(dial(by, server.url()).code);
}

TEST_CASE("SA-5: a handshake that is closed at any byte fails one dial, once, and leaks nothing") {
    cut_everywhere(afterwards::close);
}

TEST_CASE("SA-5: a handshake that is reset at any byte fails one dial, once, and leaks nothing") {
    cut_everywhere(afterwards::reset);
}

TEST_CASE("SA-5: a handshake that stops at any byte ends at connect.timeout, and leaks nothing") {
    scripted_server server;
    pg::dialer by;
    REQUIRE_FALSE(dial(by, server.url()).code);
    REQUIRE(all_closed(server));
    const auto descriptors = open_descriptors();
    connect_settings settings;
    settings.url = server.url();
    const auto where = std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings));
    const auto bytes = scripted_server::handshake_size();
    std::mutex mutex;
    std::vector<pg::dialed> outcomes;
    const auto begin = steady_clock::now();
    constexpr auto timeout = 500ms;
    for (std::size_t byte = 0; byte < bytes; ++byte) {
        server.greet_next(stops_at(byte, afterwards::hang));
        by.dial(where, timeout, [&](pg::dialed what) {
            const std::lock_guard lock{mutex};
            outcomes.push_back(std::move(what));
        });
    }
    const auto told = [&] {
        const std::lock_guard lock{mutex};
        return outcomes.size();
    };
    REQUIRE(fixture::comes_true([&] { return told() == bytes; }));
    CHECK(steady_clock::now() - begin >= timeout - 10ms);
    REQUIRE(all_closed(server));
    CHECK(open_descriptors() == descriptors);
    CHECK(told() == bytes);
    CHECK(server.count().accepted == bytes + 1);
    CHECK(server.count().ready == 1);
    for (const auto& one : outcomes) {
        CHECK(one.code == pool_errc::connect_timeout);
        CHECK_FALSE(one.connection);
    }
}

TEST_CASE("SA-5: a session that is lost right after its handshake is lost, and not a dial") {
    scripted_server server;
    server.greet_next({.then = afterwards::close});
    const auto opened = dial(server.url());
    CHECK_FALSE(opened.code);
    CHECK(opened.connection);
}

TEST_CASE("what a server refuses at the login has its SQLSTATE, its words and its remedy, and is asked once") {
    struct refusal {
        std::string code;
        std::string words;
        error_code is;
        errc remedy;
    };
    const std::vector<refusal> all = {
        {"53300", "sorry, too many clients already", sqlstate::too_many_connections, errc::overloaded},
        {"57P03", "the database system is starting up", sqlstate::cannot_connect_now, errc::server_unavailable},
        {"57P01", "terminating connection due to administrator command", sqlstate::admin_shutdown,
         errc::server_unavailable},
        {"28P01", "password authentication failed for user \"user\"", sqlstate::invalid_password, errc::login_refused},
        {"28000", "no pg_hba.conf entry for host", sqlstate::invalid_authorization, errc::login_refused},
        {"3D000", "database \"db\" does not exist", sqlstate::invalid_catalog_name, errc::login_refused},
    };
    scripted_server server;
    for (const auto& [code, words, is, remedy] : all) {
        server.greet_next(refuses(code, words));
        const auto refused = dial(server.url());
        INFO(code << ": " << refused.said.message);
        CHECK(refused.code == is);
        CHECK(refused.code == remedy);
        CHECK(refused.said.sqlstate == code);
        CHECK(refused.said.severity == "FATAL");
        CHECK(refused.said.message == "127.0.0.1:" + std::to_string(server.port()) + ": " + words);
        CHECK_FALSE(refused.connection);
    }
    CHECK(server.count().accepted == all.size());
}

TEST_CASE("a server that is no PostgreSQL is told from one, whatever it says") {
    scripted_server server;
    const auto bytes = GENERATE(as<std::string>{}, "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                std::string(64, '\0'), std::string(64, '\xFF'), std::string("R\x7F\xFF\xFF\xFF", 5));
    const auto then = GENERATE(afterwards::hang, afterwards::close);
    server.greet_next(sends(bytes, then));
    const auto refused = dial(server.url(), 400ms);
    INFO(refused.said.message);
    CHECK((refused.code == pool_errc::connect_failed || refused.code == pool_errc::connect_timeout));
    CHECK(refused.said.sqlstate.empty());
    CHECK_FALSE(refused.connection);
    CHECK(all_closed(server));
}

}  // namespace
