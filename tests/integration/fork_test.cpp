#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// What a child found; its exit code.
enum class found : int { as_promised = 0, leased, hung, other_error, no_error, not_closed, threw };

/// Runs `body` in a child, which ends with what that gives and without the destructors of this process. A child that
/// hangs is ended by its alarm.
int in_child(const std::function<found()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);
        auto how = found::threw;
        try {
            how = body();
        } catch (...) {
            // `threw`
        }
        ::_exit(static_cast<int>(how));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A callback, a coroutine and a `try_acquire` in the child.
found refused_everywhere(pool& inherited) {
    if (inherited.try_acquire()) {
        return found::leased;
    }
    asio::io_context own;
    error_code by_exception;
    auto ask = [&]() -> asio::awaitable<void> {
        try {
            auto free = co_await inherited.acquire({.timeout = 2s});
        } catch (const error& refused) {
            by_exception = refused.code();
        }
    };
    asio::co_spawn(own, std::move(ask), asio::detached);
    own.run_for(5s);
    if (!by_exception) {
        return found::no_error;
    }
    return by_exception == pool_errc::closed ? found::as_promised : found::other_error;
}

struct parent {
    asio::io_context context;
    std::optional<pool> lines;
    int pids[2] = {};
    bool same = false;

    explicit parent(const std::string& name)
        : lines{std::in_place, context.get_executor(), fixture::settings(name, {.min = 2, .max = 2})} {}

    /// With one connection idle and one lent, or idle too, it forks; then both go on.
    int fork_with(const std::function<found(parent&)>& body, bool lent = true) {
        int code = -1;
        run(context, [&]() -> asio::awaitable<void> {
            co_await lines->start();
            auto held = co_await lines->acquire();
            auto other = co_await lines->acquire();
            pids[0] = held->backend_pid();
            pids[1] = other->backend_pid();
            other.release();
            if (!lent) {
                held.release();
            }
            code = in_child([&] { return body(*this); });
            if (!lent) {
                auto again = co_await lines->acquire();
                held = std::move(again);
            }
            const auto mine = co_await held->query("SELECT pg_backend_pid()");
            const auto idle = co_await lines->query("SELECT pg_backend_pid()");
            const std::set<int> before{pids[0], pids[1]};
            const std::set<int> now{mine[0].get<int>(0), idle[0].get<int>(0)};
            same = before == now && (!lent || mine[0].get<int>(0) == pids[0]);
            held.release();
            co_await lines->close(1s);
        });
        return code;
    }
};

}  // namespace

TEST_CASE("SA-7: in the child of a fork nothing can be acquired, and the parent's pool goes on") {
    parent one{"fork_acquire"};
    CHECK(one.fork_with([](parent& of) { return refused_everywhere(*of.lines); }) == 0);
    CHECK(one.same);
    CHECK(one.lines->stats().lost == 0);
}

TEST_CASE("SA-7: a pool that is destroyed in the child of a fork says nothing on the parent's sockets") {
    for (const bool told : {false, true}) {
        for (const bool lent : {true, false}) {
            INFO("told: " << told << ", lent: " << lent);
            parent one{"fork_destroy"};
            const auto destroy = [told](parent& of) {
                if (told) {
                    of.context.notify_fork(asio::execution_context::fork_child);
                }
                of.lines.reset();
                return found::as_promised;
            };
            CHECK(one.fork_with(destroy, lent) == 0);
            CHECK(one.same);
            CHECK(one.lines->stats().lost == 0);
        }
    }
}

TEST_CASE("SA-7: a lease that is returned in the child of a fork stays with the parent") {
    asio::io_context context;
    pool lines{context.get_executor(), fixture::settings("fork_lease", {.min = 0, .max = 1})};
    int code = -1;
    bool same = false;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("BEGIN");
        const int before = held->backend_pid();
        code = in_child([&] {
            held.release();
            return lines.stats().idle == 0 ? found::as_promised : found::leased;
        });
        const auto rows = co_await held->query("SELECT pg_backend_pid()");
        same = rows[0].get<int>(0) == before;
        co_await held->query("ROLLBACK");
        held.release();
        co_await lines.close(1s);
    });
    CHECK(code == 0);
    CHECK(same);
}

TEST_CASE("SA-7: close ends in the child of a fork, and the parent's pool goes on") {
    parent one{"fork_close"};
    const auto code = one.fork_with([](parent& of) {
        asio::io_context own;
        bool closed = false;
        asio::co_spawn(own, of.lines->close(1s), [&](std::exception_ptr) { closed = true; });
        own.run_for(5s);
        return closed ? found::as_promised : found::not_closed;
    });
    CHECK(code == 0);
    CHECK(one.same);
}

TEST_CASE("SA-7: a child of a fork may have a pool of its own") {
    parent one{"fork_own"};
    const auto code = one.fork_with([](parent&) {
        asio::io_context own;
        auto how = found::no_error;
        pool fresh{own.get_executor(), fixture::settings("fork_childs", {.min = 0, .max = 1})};
        auto ask = [&]() -> asio::awaitable<void> {
            const auto rows = co_await fresh.query("SELECT 1");
            how = rows.size() == 1 ? found::as_promised : found::other_error;
            co_await fresh.close(1s);
        };
        asio::co_spawn(own, std::move(ask), asio::detached);
        own.run_for(10s);
        return how;
    });
    CHECK(code == 0);
    CHECK(one.same);
}
