#include "connection_fixture.hpp"
#include "support/catch.hpp"

#include <trunkline/error.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <future>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using fixture::dial;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

postgres_server& tls_server() {
    static postgres_server one{{.tls = true}};
    return one;
}

/// Takes connections and never answers.
class silent_server {
public:
    silent_server() : acceptor_{context_, {boost::asio::ip::address_v4::loopback(), 0}} {}
    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
    /// Returns when somebody has connected.
    [[nodiscard]] boost::asio::ip::tcp::socket accept() { return acceptor_.accept(); }

private:
    boost::asio::io_context context_;
    boost::asio::ip::tcp::acceptor acceptor_;
};

/// A port of 127.0.0.1 where nobody listens.
std::string free_port() { return silent_server{}.port(); }

std::string keywords(const std::string& hosts, const std::string& ports) {
    return "host=" + hosts + " port=" + ports + " user=postgres dbname=trunkline password=" + tls_server().password();
}

std::string scalar_of(const pg::dialed& opened, const char* sql) {
    PQsetnonblocking(opened.connection.get(), 0);
    PGresult* const got = PQexec(opened.connection.get(), sql);
    const std::string value = PQntuples(got) == 1 ? PQgetvalue(got, 0, 0) : PQresultErrorMessage(got);
    PQclear(got);
    return value;
}

TEST_CASE("a dial gives a session in UTF-8, with the application's name and the settings' keepalives") {
    const auto opened = dial(tls_server().url());
    REQUIRE_FALSE(opened.code);
    CHECK(scalar_of(opened, "SHOW client_encoding") == "UTF8");
    CHECK(scalar_of(opened, "SHOW application_name") == "trunkline");
    int idle = 0;
    socklen_t size = sizeof(idle);
    getsockopt(PQsocket(opened.connection.get()), IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
    CHECK(idle == 10);
}

TEST_CASE("a UNIX socket is dialed") {
    const auto opened = dial(tls_server().socket_url());
    REQUIRE_FALSE(opened.code);
    CHECK(scalar_of(opened, "SELECT inet_server_addr() IS NULL") == "t");
}

TEST_CASE("a host that refuses gives way to the next") {
    const auto opened = dial(keywords("127.0.0.1,127.0.0.1", free_port() + "," + std::to_string(tls_server().port())));
    CHECK_FALSE(opened.code);
    CHECK(opened.connection);
}

TEST_CASE("each address of a name is tried: localhost, with a server on 127.0.0.1 alone") {
    const auto opened = dial(keywords("localhost", std::to_string(tls_server().port())));
    CHECK_FALSE(opened.code);
}

TEST_CASE("a first host that never answers leaves time for the second") {
    const silent_server silent;
    const auto begin = steady_clock::now();
    const auto opened =
        dial(keywords("127.0.0.1,127.0.0.1", silent.port() + "," + std::to_string(tls_server().port())), 2s);
    CHECK_FALSE(opened.code);
    CHECK(steady_clock::now() - begin >= 900ms);
}

TEST_CASE("a wrong password fails at once, with the server's words, its code and the host, and without the password") {
    const auto begin = steady_clock::now();
    const auto refused = dial(tls_server().url_with_password("hunter22"));
    CHECK(steady_clock::now() - begin < 5s);
    CHECK(refused.code == sqlstate::invalid_password);
    CHECK(refused.code == errc::login_refused);
    CHECK(refused.said.sqlstate == "28P01");
    CHECK(refused.said.severity == "FATAL");
    CHECK(refused.said.message == "127.0.0.1:" + std::to_string(tls_server().port()) +
                                      ": password authentication failed for user \"postgres\"");
    CHECK_FALSE(refused.connection);
}

TEST_CASE("a server that refuses the login ends the dial: the next host is not asked") {
    const std::string port = std::to_string(tls_server().port());
    const std::string url = "host=localhost,127.0.0.1 port=" + port + " user=postgres dbname=trunkline password=wrong";
    const auto refused = dial(url);
    CHECK(refused.code == sqlstate::invalid_password);
    std::size_t answers = 0;
    for (auto at = refused.said.message.find("password authentication failed"); at != std::string::npos;
         at = refused.said.message.find("password authentication failed", at + 1)) {
        ++answers;
    }
    CHECK(answers == 1);
}

TEST_CASE("what the server refuses has its code") {
    SECTION("an unknown database") {
        const std::string url = tls_server().url();
        const auto refused = dial(url.substr(0, url.rfind('/')) + "/nowhere");
        CHECK(refused.code == sqlstate::invalid_catalog_name);
        CHECK(refused.said.message.find("database \"nowhere\" does not exist") != std::string::npos);
    }
    SECTION("too many sessions") {
        postgres_server small{{.max_connections = 5}};
        std::vector<pg::dialed> all;
        pg::dialer by;
        for (int i = 0; i < 6; ++i) {
            all.push_back(dial(by, small.url()));
        }
        CHECK(all.back().code == sqlstate::too_many_connections);
        CHECK(all.back().code == errc::overloaded);
    }
    SECTION("an unknown user on the UNIX socket, by pg_hba.conf") {
        const auto refused =
            dial("host=" + tls_server().directory().string() + " port=" + std::to_string(tls_server().port()) +
                 " user=nobody_here dbname=trunkline password=x");
        CHECK(refused.code == errc::login_refused);
    }
}

TEST_CASE("a server that shuts down says so") {
    postgres_server stopping;
    plain_connection holds{stopping.url()};
    stopping.begin_stop(stop_mode::smart);
    CHECK(fixture::comes_true([&] { return dial(stopping.url()).code == sqlstate::cannot_connect_now; }));
}

TEST_CASE("a port where nobody listens, and a name that nobody has") {
    const auto port = free_port();
    const auto refused = dial(keywords("127.0.0.1", port));
    CHECK(refused.code == pool_errc::connect_failed);
    CHECK(refused.code == errc::server_unavailable);
    CHECK(refused.said.sqlstate.empty());
    CHECK(refused.said.message.find("127.0.0.1:" + port + ": Connection refused") == 0);
    const auto unknown = dial(keywords("no-such-host.invalid", "5432"));
    CHECK(unknown.code == pool_errc::host_not_found);
    CHECK(unknown.said.message.find("no-such-host.invalid:5432: host name not found") == 0);
    const auto missing = dial("host=/nowhere/at/all user=postgres");
    CHECK(missing.code == pool_errc::connect_failed);
    CHECK(missing.said.message.find("/nowhere/at/all/.s.PGSQL.5432: ") == 0);
}

TEST_CASE("TO-1: a server that never answers costs the pool's own deadline, whatever the URL's connect_timeout says") {
    const silent_server silent;
    const auto begin = steady_clock::now();
    const auto late = dial(keywords("127.0.0.1", silent.port()) + " connect_timeout=60", 300ms);
    const auto took = steady_clock::now() - begin;
    CHECK(late.code == pool_errc::connect_timeout);
    CHECK(took >= 290ms);
    CHECK(took < 5s);
}

TEST_CASE("dials under way can be given up, and the next goes on") {
    silent_server silent;
    connect_settings settings;
    settings.url = keywords("127.0.0.1", silent.port());
    const auto where = std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings));
    pg::dialer by;
    std::vector<std::promise<pg::dialed>> told(5);
    for (auto& one : told) {
        by.dial(where, 60s, [&one](pg::dialed what) { one.set_value(std::move(what)); });
    }
    const auto under_way = silent.accept();
    by.abort();
    for (auto& one : told) {
        auto answer = one.get_future();
        REQUIRE(answer.wait_for(5s) == std::future_status::ready);
        CHECK(answer.get().code == pool_errc::closed);
    }
    CHECK_FALSE(dial(by, tls_server().url()).code);
}

TEST_CASE("a dialer that goes away tells those who wait") {
    const silent_server silent;
    connect_settings settings;
    settings.url = keywords("127.0.0.1", silent.port());
    std::promise<pg::dialed> told;
    {
        pg::dialer by;
        by.dial(std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings)), 60s,
                [&](pg::dialed what) { told.set_value(std::move(what)); });
    }
    CHECK(told.get_future().get().code == pool_errc::closed);
}

TEST_CASE("a dialer may go away in what it calls, even before dial() is back") {
    // Nobody listens: the answer comes as soon as it can. Often, because how far dial() has come by then is a race.
    connect_settings settings;
    settings.url = keywords("127.0.0.1", free_port());
    for (int round = 0; round < 200; ++round) {
        auto by = std::make_shared<pg::dialer>();
        std::promise<void> told;
        auto* const first = by.get();
        first->dial(std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings)), 60s,
                    [&told, keeps = std::move(by)](const pg::dialed&) mutable {
                        keeps.reset();
                        told.set_value();
                    });
        told.get_future().get();
    }
}

TEST_CASE("TLS is used when asked for, with SCRAM, and the server's certificate is checked") {
    const std::string url = tls_server().url();
    const auto required = dial(url + "?sslmode=require");
    REQUIRE_FALSE(required.code);
    CHECK(PQsslInUse(required.connection.get()) == 1);
    CHECK(scalar_of(required, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t");

    const auto root = tls_server().certificate().string();
    const auto verified = dial(url + "?sslmode=verify-full&sslrootcert=" + root);
    CHECK_FALSE(verified.code);
    const auto by_name =
        dial(keywords("localhost", std::to_string(tls_server().port())) + " sslmode=verify-full sslrootcert=" + root);
    CHECK_FALSE(by_name.code);
    CHECK(PQsslInUse(by_name.connection.get()) == 1);

    postgres_server other{{.tls = true}};
    const auto refused = dial(url + "?sslmode=verify-full&sslrootcert=" + other.certificate().string());
    CHECK(refused.code == pool_errc::connect_failed);
    CHECK(refused.said.message.find("certificate") != std::string::npos);
}

TEST_CASE("results of every size come through TLS whole") {
    fixture::with_connection(
        [](connection& on) -> boost::asio::awaitable<void> {
            for (int size = 1'000; size < 70'000; size += 777) {
                const result got = co_await on.query("SELECT repeat('x', $1) FROM generate_series(1, 3)", size);
                CHECK(got.size() == 3);
            }
            const std::string big(4 << 20, 'z');
            const result got = co_await on.query("SELECT $1::text", big);
            CHECK(got[0].get<std::string_view>(0) == big);
        },
        tls_server().url() + "?sslmode=require");
}

}  // namespace
