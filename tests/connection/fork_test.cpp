#include "mending_fixture.hpp"
#include "pg/fork_guard.hpp"
#include "support/catch.hpp"

#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;

/// Runs `body` in a child; true if it ended by itself.
template <typename Body>
bool in_child(Body body) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::alarm(20);
        body();
        ::_exit(0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("SA-7: a child of a fork knows that it is one") {
    const auto before = pg::fork_generation();
    CHECK_FALSE(pg::forked_since(before));
    const bool told = in_child([&] {
        if (!pg::forked_since(before)) {
            ::_exit(1);
        }
    });
    CHECK(told);
    CHECK_FALSE(pg::forked_since(before));
}

TEST_CASE("SA-7: what a forked child destroys, closes or uses leaves the parent's session alone") {
    for (const char* const suffix : {"", "?sslmode=require"}) {
        static postgres_server encrypted{postgres_options{.tls = true}};
        boost::asio::io_context context;
        const std::string url = encrypted.url() + suffix;
        owner of;
        auto on = std::make_unique<lone_connection>(open_session(context.get_executor(), url, of.events()));
        const auto ask = [&]() -> awaitable<void> {
            const result got = co_await on->query(within(5s), "SELECT pg_backend_pid()");
            CHECK(got[0].get<int>(0) == on->backend_pid());
            context.stop();
        };
        run(context, ask);
        const bool destroyed = in_child([&] { on.reset(); });
        CHECK(destroyed);
        run(context, ask);
        const bool closed = in_child([&] {
            bool told = false;
            on->session().close(pool_errc::closed, [&] { told = true; });
            on.reset();
        });
        CHECK(closed);
        run(context, ask);
        const bool used = in_child([&] {
            waiting_operation refused;
            refused.sql = "SELECT 1";
            on->session().start(refused);
            if (!refused.code) {
                ::_exit(1);
            }
        });
        CHECK(used);
        run(context, ask);
        CHECK(of.lost == 0);
        on->session().close(pool_errc::closed, [] {});
        context.restart();
        context.run();
    }
}

}  // namespace
