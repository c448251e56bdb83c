#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/sanitizer.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <sys/resource.h>
#include <unistd.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// Takes the process's free descriptors away while it lives.
class no_descriptors {
public:
    no_descriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        const int next = dup(0);
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(next);  // all below are in use
        close(next);
        setrlimit(RLIMIT_NOFILE, &none);
    }
    ~no_descriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;

private:
    rlimit before_{};
};

/// For a thread that does not run the pool.
lease wait_for_lease(pool& from) {
    const auto told = std::make_shared<std::promise<lease>>();
    from.async_acquire([told](error_code, lease lent) { told->set_value(std::move(lent)); });
    return told->get_future().get();
}

}  // namespace

TEST_CASE("the longest durations there are wait long, and overflow nothing") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("longest", {.min = 1, .max = 1})};
    bool served = false;
    bool query_ended_well = false;
    const auto waiter = [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire({.timeout = std::chrono::milliseconds::max()});
        served = true;
        co_await lease->query("SELECT pg_sleep(0.1)");
        query_ended_well = true;
    };
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        asio::co_spawn(context, waiter(), asio::detached);
        while (pool.stats().waiting == 0) {
            co_await asio::post(context, asio::use_awaitable);
        }
        lease.release();
        while (!served) {
            co_await asio::post(context, asio::use_awaitable);
        }
        co_await pool.close(std::chrono::milliseconds::max());
    });
    CHECK(query_ended_well);
}

TEST_CASE("start on a closed pool says that it is closed") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("start_closed", {.min = 1, .max = 1})};
    error_code told;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.close(0ms);
        try {
            co_await pool.start();
        } catch (const error& refused) {
            told = refused.code();
        }
    });
    CHECK(told == pool_errc::closed);
}

TEST_CASE("a lease whose connection was closed by its pool says so") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("closed_under", {.min = 1, .max = 1})};
    error_code told;
    std::string words;
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        co_await pool.close(0ms);
        try {
            co_await lease->query("SELECT 1");
        } catch (const error& refused) {
            told = refused.code();
            words = refused.message();
        }
    });
    CHECK(told == pool_errc::closed);
    CHECK_FALSE(words.empty());
}

TEST_CASE("a lease may be released after its pool and its io_context are gone") {
    lease late;
    {
        asio::io_context context;
        pool pool{context.get_executor(), fixture::settings("late", {.min = 1, .max = 1})};
        const auto take = [&]() -> asio::awaitable<void> {
            auto lease = co_await pool.acquire();
            late = std::move(lease);
            context.stop();
        };
        asio::co_spawn(context, take(), asio::detached);
        context.run();
    }
    CHECK(late);
    late.release();
}

TEST_CASE("a pool that is destroyed with a rollback under way harms nobody") {
    for (int trial = 0; trial < 10; ++trial) {
        asio::io_context context;
        std::optional<pool> one{std::in_place, context.get_executor(),
                                fixture::settings("rolling", {.min = 1, .max = 1})};
        const auto leave_a_transaction = [&]() -> asio::awaitable<void> {
            auto lease = co_await one->acquire();
            co_await lease->query("BEGIN");
            lease.release();
            one.reset();
            if (trial % 2 == 0) {
                context.stop();
            }
        };
        asio::co_spawn(context, leave_a_transaction(), asio::detached);
        context.run();
    }
    SUCCEED("nothing crashed; the sanitizers look for the rest");
}

TEST_CASE("leases that are discarded on other threads while the pool goes away harm nobody") {
    for (int trial = 0; trial < 20; ++trial) {
        asio::io_context context;
        auto work = std::make_optional(asio::make_work_guard(context));
        std::jthread runner{[&] { context.run(); }};
        pool_hooks hooks;
        hooks.log = [](const log_record&) { std::this_thread::yield(); };
        std::optional<pool> one{std::in_place, context.get_executor(), fixture::settings("race", {.min = 1, .max = 2}),
                                hooks};
        auto first = wait_for_lease(*one);
        auto second = wait_for_lease(*one);
        std::jthread other{[&] { first.discard(); }};
        std::jthread another{[&] { second.release(); }};
        one.reset();
        other.join();
        another.join();
        work.reset();
    }
    SUCCEED("nothing crashed; the sanitizers look for the rest");
}

TEST_CASE("a process that has run out of descriptors for a while goes on afterwards") {
#ifdef TRUNKLINE_TEST_SANITIZED
    WARN("SKIPPED: the undefined behaviour sanitizer opens a pipe to check a pointer, and takes its failure for a "
         "fault");
    return;
#endif
    asio::io_context context;
    auto settings = fixture::settings("descriptors", {.min = 0, .max = 2});
    settings.connect.backoff_max = 200ms;
    pool pool{context.get_executor(), settings};
    std::int32_t answer = 0;
    std::size_t failed_dials = 0;
    run(context, [&]() -> asio::awaitable<void> {
        auto held = co_await pool.acquire();  // so that the dialer's thread and the reactor stand
        {
            const no_descriptors none;
            try {
                auto refused = co_await pool.acquire({.timeout = 300ms});
            } catch (const acquire_error&) {
                failed_dials = static_cast<std::size_t>(pool.stats().dials_failed);
            }
        }
        auto lease = co_await pool.acquire();
        const auto rows = co_await lease->query("SELECT 5");
        answer = rows[0].get<std::int32_t>(0);
        lease.release();
        held.release();
        co_await pool.close(1s);
    });
    CHECK(failed_dials >= 1);
    CHECK(answer == 5);
    CHECK(pool.stats().total == 0);
}

TEST_CASE("with more than one thread a waiter is not held back by the one who released") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("hostage", {.min = 1, .max = 1})};
    std::atomic<bool> waiter_ran = false;
    bool ran_meanwhile = false;
    const auto waiter = [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        waiter_ran = true;
    };
    run(
        context,
        [&]() -> asio::awaitable<void> {
            for (int i = 0; i < 200; ++i) {  // until two threads have been seen at work
                co_await pool.query("SELECT 1");
            }
            auto lease = co_await pool.acquire();
            asio::co_spawn(context, waiter(), asio::detached);
            while (pool.stats().waiting == 0) {
                co_await asio::post(context, asio::use_awaitable);
            }
            co_await lease->query("SELECT 1");
            lease.release();
            const auto give_up = std::chrono::steady_clock::now() + 10s;
            while (!waiter_ran && std::chrono::steady_clock::now() < give_up) {
                std::this_thread::yield();  // computes, and never suspends
            }
            ran_meanwhile = waiter_ran;
            co_await pool.close(1s);
        },
        4);
    CHECK(ran_meanwhile);
}

TEST_CASE("SH-5: a pool destroyed while its close is announced leaves nothing that waits for the moment") {
    asio::io_context context;
    auto settings = fixture::settings("announced", {.min = 1, .max = 1});
    settings.close.preclose_delay = 60s;
    auto pool = std::make_unique<trunkline::pool>(context.get_executor(), settings);
    int told = 0;
    const auto began = std::chrono::steady_clock::now();
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool->start();
        for (int i = 0; i < 2; ++i) {
            asio::co_spawn(context, pool->close(1s), [&](std::exception_ptr failed) { told += failed ? 0 : 1; });
        }
        while (pool->state() == pool_state::open) {
            co_await asio::post(context, asio::use_awaitable);
        }
        pool.reset();
    });
    CHECK(told == 2);
    CHECK(std::chrono::steady_clock::now() - began < 30s);
    CHECK(fixture::sessions("announced") == 0);
}
