#include "pg/connect_failure_text.hpp"
#include "pg/conninfo.hpp"
#include "pg/masked_text.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

using namespace trunkline;

/// Sets an environment variable as long as it lives.
class environment_variable {
public:
    environment_variable(const char* name, const std::string& value) : name_{name} { ::setenv(name, value.c_str(), 1); }
    environment_variable(const environment_variable&) = delete;
    environment_variable& operator=(const environment_variable&) = delete;
    ~environment_variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

pg::conninfo parse(const std::string& url) {
    connect_settings settings;
    settings.url = url;
    return pg::parse_conninfo(settings);
}

std::string option(const pg::conninfo& from, std::string_view keyword) {
    const auto found = std::ranges::find(from.options, keyword, &pg::conninfo::option::keyword);
    return found != from.options.end() ? found->value : "";
}

std::string problem_of(const std::string& url) {
    try {
        (void)parse(url);
    } catch (const settings_error& thrown) {
        CHECK(thrown.problems().size() == 1);
        CHECK(thrown.problems()[0].setting == "connect.url");
        return thrown.problems()[0].problem;
    }
    return "";
}

TEST_CASE("a URI and keywords say the same") {
    for (const char* url : {"postgresql://ann:s3cret@db.example:6543/shop?sslmode=verify-full",
                            "host=db.example port=6543 user=ann password=s3cret dbname=shop sslmode=verify-full"}) {
        const auto found = parse(url);
        REQUIRE(found.hosts.size() == 1);
        CHECK(found.hosts[0].name == "db.example");
        CHECK(found.hosts[0].port == "6543");
        CHECK_FALSE(found.hosts[0].is_local);
        CHECK(option(found, "user") == "ann");
        CHECK(option(found, "password") == "s3cret");
        CHECK(option(found, "dbname") == "shop");
        CHECK(option(found, "sslmode") == "verify-full");
        CHECK(option(found, "host").empty());
    }
}

TEST_CASE("lists of hosts, ports and addresses belong together") {
    const auto found = parse("host=a,b,/run/x hostaddr=10.0.0.1,, port=1,2,3");
    REQUIRE(found.hosts.size() == 3);
    CHECK(found.hosts[0].address == "10.0.0.1");
    CHECK(found.hosts[1].name == "b");
    CHECK(found.hosts[1].address.empty());
    CHECK(found.hosts[1].port == "2");
    CHECK(found.hosts[2].is_local);
    const auto same_port = parse("postgresql://a,b,c/x?port=77");
    CHECK(same_port.hosts.size() == 3);
    CHECK(same_port.hosts[2].port == "77");
    CHECK(parse("host=a,b").hosts[1].port == "5432");
    CHECK(problem_of("host=a,b hostaddr=10.0.0.1").find("2 hosts and 1 values of hostaddr") != std::string::npos);
    CHECK(problem_of("host=a,b,c port=1,2").find("3 hosts and 2 ports") != std::string::npos);
    CHECK(problem_of("host=a port=99999").find("65535") != std::string::npos);
}

TEST_CASE("without a host the UNIX socket is meant") {
    const auto found = parse("");
    REQUIRE(found.hosts.size() == 1);
    CHECK(found.hosts[0].is_local);
    CHECK(found.hosts[0].name.empty());
}

TEST_CASE("the settings fill in what the URL does not say, and the encoding is always UTF-8") {
    const auto found = parse("host=a client_encoding=LATIN1 keepalives_idle=77");
    CHECK(option(found, "application_name") == "trunkline");
    CHECK(option(found, "keepalives_idle") == "77");
    CHECK(option(found, "keepalives_interval") == "5");
    CHECK(option(found, "tcp_user_timeout") == "10000");
    CHECK(option(found, "client_encoding") == "UTF8");
    CHECK(option(parse("host=a application_name=mine"), "application_name") == "mine");
}

TEST_CASE("the environment fills in what neither says") {
    const environment_variable host{"PGHOST", "from-environment"};
    const environment_variable database{"PGDATABASE", "env_db"};
    CHECK(parse("user=x").hosts[0].name == "from-environment");
    CHECK(option(parse("user=x"), "dbname") == "env_db");
    CHECK(parse("host=other").hosts[0].name == "other");
}

TEST_CASE("a service file is read, under what the URL says and over the environment") {
    const auto file = std::filesystem::temp_directory_path() / ("trunkline_service_" + std::to_string(::getpid()));
    std::ofstream{file}
        << "[shop]\nhost=shop.example\nport=7777\ndbname=shop\nuser=service_user\nchannel_binding=disable\n"
           "application_name=from_service\ngssencmode=disable\n";
    {
        const environment_variable where{"PGSERVICEFILE", file.string()};
        const environment_variable user{"PGUSER", "env_user"};
        const environment_variable database{"PGPASSWORD", "env_password"};
        const auto found = parse("service=shop dbname=mine");
        REQUIRE(found.hosts.size() == 1);
        CHECK(found.hosts[0].name == "shop.example");
        CHECK(found.hosts[0].port == "7777");
        CHECK(option(found, "dbname") == "mine");
        CHECK(option(found, "user") == "service_user");
        CHECK(option(found, "password") == "env_password");
        CHECK(option(found, "channel_binding") == "disable");
        CHECK(option(found, "gssencmode") == "disable");
        CHECK(option(found, "application_name") == "from_service");
        CHECK(option(found, "service").empty());
        CHECK(problem_of("service=no_such").find("not found") != std::string::npos);
    }
    std::filesystem::remove(file);
}

TEST_CASE("what cannot be read is refused in libpq's words, without a piece of the URL") {
    for (const char* url : {"password=my hunter2secret", "postgresql://ann:hunter2secret@[::1", "hunter2secret=1",
                            "postgresql://a/?hunter2secret=1", "postgresql://ann:hunter2%zzsecret@host/"}) {
        const auto problem = problem_of(url);
        CHECK(problem.find("libpq cannot read it: ") == 0);
        CHECK(problem.find("hunter2") == std::string::npos);
        CHECK(problem.find("secret") == std::string::npos);
    }
    CHECK(problem_of("postgresql://ann:hunter2secret@host:x y/") == "a port is not a number from 1 to 65535");
    CHECK(problem_of(std::string{"host=a\0b", 8}).find("NUL") != std::string::npos);
}

TEST_CASE("masking leaves keywords and hides the rest") {
    CHECK(pg::masked_text("invalid port: \"abcdef\"\n", "port=abcdef") == "invalid port: \"…\"");
    CHECK(pg::masked_text("missing \"=\" after \"pw\"", "pw") == "missing \"=\" after \"pw\"");
}

TEST_CASE("the server's code and words are read out of libpq's text") {
    const auto refused = pg::read_connect_failure("connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  "
                                                  "28P01: password authentication failed for user \"x\"\n"
                                                  "LOCATION:  auth_failed, auth.c:335\n");
    CHECK(refused.severity == "FATAL");
    CHECK(refused.sqlstate == "28P01");
    CHECK(refused.message == "password authentication failed for user \"x\"");

    const auto twice = pg::read_connect_failure(
        "connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  28000: no entry, SSL encryption\n"
        "DETAIL:  first\nLOCATION:  a, b.c:1\n"
        "connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  3D000: no database\nHINT:  make one\n");
    CHECK(twice.sqlstate == "3D000");
    CHECK(twice.message == "no database");
    CHECK(twice.hint == "make one");
    CHECK(twice.detail.empty());

    const auto german = pg::read_connect_failure(
        "Verbindung fehlgeschlagen: FATAL:  57P03: das Datenbanksystem startet\nORT:  x, y.c:1\n");
    CHECK(german.sqlstate == "57P03");
    CHECK(german.message == "das Datenbanksystem startet");

    const auto network =
        pg::read_connect_failure("connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
                                 "\tIs the server running on that host and accepting TCP/IP connections?\n");
    CHECK(network.sqlstate.empty());
    CHECK(network.message == "Connection refused Is the server running on that host and accepting TCP/IP connections?");
    CHECK(pg::read_connect_failure("").message.empty());
    CHECK(pg::read_connect_failure("FATAL:  28P0").sqlstate.empty());
}

}  // namespace
