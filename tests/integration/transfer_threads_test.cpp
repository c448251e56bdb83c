#include "support/sanitizer.hpp"
#include "transaction_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <random>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

// Streams and COPY on several threads, and across a fork.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

#ifdef TRUNKLINE_TEST_SANITIZED
constexpr bool slow = true;
#else
constexpr bool slow = false;
#endif

asio::awaitable<void> stream_some(connection& on, unsigned dice) {
    auto rows = co_await on.stream("SELECT generate_series(1, 20000), repeat('x', 200)");
    const auto wanted = dice % 4 == 0 ? 1 : static_cast<int>(dice % 30'000);
    for (int i = 1; i <= wanted; ++i) {
        const auto one = co_await rows.next();
        if (!one) {
            break;
        }
        if (one->get<int>(0) != i) {
            throw std::runtime_error{"a row out of order"};
        }
    }
}

asio::awaitable<void> copy_some(connection& on, unsigned dice) {
    auto to = co_await on.copy_in("COPY threads_copied FROM STDIN");
    for (unsigned i = 0; i < dice % 200; ++i) {
        co_await to.write("1\t" + std::string(2'000, 'x') + "\n");
    }
    if (dice % 3 != 0) {
        const auto stored = co_await to.finish();
        if (stored != dice % 200) {
            throw std::runtime_error{"a COPY of another length"};
        }
    }
}

/// What one client does, on a strand of its own; a part of its leases ends under what it has begun.
asio::awaitable<void> use(pool& lines, unsigned seed, int rounds, std::atomic<int>& done) {
    std::minstd_rand dice{seed};
    for (int i = 0; i < rounds; ++i) {
        auto held = co_await lines.acquire();
        const auto pid = held->backend_pid();
        const auto what = static_cast<unsigned>(dice());
        if (what % 2 == 0) {
            co_await stream_some(*held, what / 2);
        } else {
            co_await copy_some(*held, what / 2);
        }
        if (what % 5 != 0) {
            const auto got = co_await held->query("SELECT pg_backend_pid(), $1::int", i);
            if (got[0].get<int>(0) != pid || got[0].get<int>(1) != i) {
                throw std::runtime_error{"another one's answer"};
            }
        }
        ++done;
    }
}

}  // namespace

TEST_CASE("streams and COPY of many clients on several threads give each its own, whole or left early") {
    asio::io_context context;
    pool lines{context.get_executor(), fixture::settings("threads", {.min = 0, .max = 4})};
    plain_connection observer{fixture::url()};
    observer.execute("DROP TABLE IF EXISTS threads_copied; CREATE UNLOGGED TABLE threads_copied (i int, s text)");
    constexpr int clients = 8;
    const int rounds = slow ? 10 : 40;
    std::atomic<int> done{0};
    std::atomic<int> left{clients};
    std::string problem;
    for (unsigned i = 0; i < clients; ++i) {
        asio::co_spawn(asio::make_strand(context), use(lines, i + 1, rounds, done), [&](std::exception_ptr failed) {
            if (failed) {
                try {
                    std::rethrow_exception(failed);
                } catch (const std::exception& why) {
                    problem = why.what();
                }
            }
            if (--left == 0) {
                asio::co_spawn(context, lines.close(10s), asio::detached);
            }
        });
    }
    std::vector<std::jthread> others;
    for (int i = 0; i < 3; ++i) {
        others.emplace_back([&] { context.run(); });
    }
    context.run();
    others.clear();
    CHECK(problem.empty());
    CHECK(done == clients * rounds);
    CHECK(lines.stats().cancels_unproven == 0);
}

TEST_CASE("SA-7: the child of a fork leaves its parent's streams and COPY as they are") {
    run_on(fixture::settings("forked", {.min = 0, .max = 2}), [](pool& lines) -> asio::awaitable<void> {
        auto first = co_await lines.acquire();
        auto second = co_await lines.acquire();
        co_await second->query("CREATE TEMP TABLE t (i int)");
        auto rows = std::make_unique<row_stream>();
        *rows = co_await first->stream("SELECT generate_series(1, 100000)");
        auto to = std::make_unique<copy_writer>();
        *to = co_await second->copy_in("COPY t FROM STDIN");
        co_await to->write("1\n");
        const auto child = ::fork();
        if (child == 0) {
            ::alarm(20);
            rows->stop();
            rows.reset();
            to.reset();
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
        int count = 0;
        while (co_await rows->next()) {
            ++count;
        }
        CHECK(count == 100'000);
        const auto stored = co_await to->finish();
        CHECK(stored == 1);
    });
}
