#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"

#include <boost/asio.hpp>

#include <atomic>
#include <memory>
#include <memory_resource>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// An allocator that counts, to see whether a handler's own is used.
template <typename T>
struct counting_allocator {
    using value_type = T;
    explicit counting_allocator(std::atomic<int>& uses) noexcept : count{&uses} {}
    template <typename U>
    explicit(false) counting_allocator(const counting_allocator<U>& other) noexcept : count{other.count} {}
    T* allocate(std::size_t n) {
        ++*count;
        return std::allocator<T>{}.allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept { std::allocator<T>{}.deallocate(p, n); }
    bool operator==(const counting_allocator&) const noexcept = default;
    std::atomic<int>* count;
};

}  // namespace

TEST_CASE("async_acquire takes each of Asio's completion tokens") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("tokens", {.min = 0, .max = 6})};
    int leases = 0;
    bool called_inside = true;
    const auto take_one_by_each = [&]() -> asio::awaitable<void> {
        const auto by_awaitable = co_await pool.async_acquire(asio::use_awaitable);
        const auto by_deferred = co_await pool.async_acquire(asio::deferred);
        const auto [code, by_tuple] = co_await pool.async_acquire(asio::as_tuple(asio::use_awaitable));
        auto future = pool.async_acquire(asio::use_future);
        while (future.wait_for(0s) != std::future_status::ready) {
            co_await asio::post(context, asio::use_awaitable);
        }
        const auto by_future = future.get();
        bool initiating = true;
        lease by_callback;
        pool.async_acquire([&](error_code, lease lent) {
            called_inside = initiating;
            by_callback = std::move(lent);
        });
        initiating = false;
        while (!by_callback) {
            co_await asio::post(context, asio::use_awaitable);
        }
        leases = (by_awaitable ? 1 : 0) + (by_deferred ? 1 : 0) + (by_tuple && !code ? 1 : 0) + (by_future ? 1 : 0) +
                 (by_callback ? 1 : 0);
    };
    run(context, [&]() -> asio::awaitable<void> {
        co_await take_one_by_each();
        co_await pool.close(1s);
    });
    CHECK(leases == 5);
    CHECK_FALSE(called_inside);
}

TEST_CASE("AQ-16: a handler runs on its own executor, wherever the pool runs") {
    asio::io_context pools;
    asio::io_context callers;
    pool pool{pools.get_executor(), fixture::settings("executor", {.min = 1, .max = 1})};
    std::atomic<int> on_own = 0;
    std::atomic<int> ended = 0;
    auto pools_work = asio::make_work_guard(pools);
    std::jthread pool_thread{[&] { pools.run(); }};
    const auto client = [&]() -> asio::awaitable<void> {
        {
            auto lease = co_await pool.acquire();
            on_own += callers.get_executor().running_in_this_thread() ? 1 : 0;
            co_await lease->query("SELECT 1");
            on_own += callers.get_executor().running_in_this_thread() ? 1 : 0;
        }
        ++ended;
    };
    for (int i = 0; i < 50; ++i) {
        asio::co_spawn(callers, client(), asio::detached);
    }
    auto strand = asio::make_strand(callers);
    bool in_strand = false;
    pool.async_acquire(
        asio::bind_executor(strand, [&](error_code, lease) { in_strand = strand.running_in_this_thread(); }));
    callers.run();  // the pool's work guard on our executor keeps this going until all have been told
    CHECK(ended == 50);
    CHECK(on_own == 100);
    CHECK(in_strand);
    run(callers, [&]() -> asio::awaitable<void> { co_await pool.close(1s); });
    pools_work.reset();
}

TEST_CASE("a handler's own allocator is used") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("allocator", {.min = 1, .max = 1})};
    std::atomic<int> uses = 0;
    bool told = false;
    run(context, [&]() -> asio::awaitable<void> {
        co_await pool.start();
        pool.async_acquire(
            asio::bind_allocator(counting_allocator<int>{uses}, [&](error_code, lease) { told = true; }));
        while (!told) {
            co_await asio::post(context, asio::use_awaitable);
        }
        co_await pool.close(1s);
    });
    CHECK(uses > 0);
}

TEST_CASE("AQ-14: a failed async_acquire tells the whole story to those who ask") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("story", {.min = 0, .max = 1})};
    diagnostics why;
    error_code code;
    run(context, [&]() -> asio::awaitable<void> {
        auto lease = co_await pool.acquire();
        auto token = asio::as_tuple(asio::use_awaitable);
        const auto [error, none] = co_await pool.async_acquire({.timeout = 10ms}, why, token);
        code = error;
        lease.release();
        co_await pool.close(1s);
    });
    CHECK(code == pool_errc::acquire_timeout);
    CHECK(why.message.find("1 leased") != std::string::npos);
}

TEST_CASE("four threads on one io_context share a pool") {
    asio::io_context context;
    pool pool{context.get_executor(), fixture::settings("threads", {.min = 4, .max = 8})};
    std::atomic<std::int64_t> sum = 0;
    std::atomic<int> ended = 0;
    const auto client = [&](int number) -> asio::awaitable<void> {
        for (int i = 0; i < 20; ++i) {
            const auto rows = co_await pool.query("SELECT $1::int8 * 2", std::int64_t{number});
            sum += rows[0].get<std::int64_t>(0);
        }
        if (++ended == 100) {
            co_await pool.close(1s);
        }
    };
    run(
        context,
        [&]() -> asio::awaitable<void> {
            co_await pool.start();
            for (int i = 0; i < 100; ++i) {
                asio::co_spawn(context, client(i), asio::detached);
            }
        },
        4);
    CHECK(ended == 100);
    CHECK(sum == 20LL * 2 * (99 * 100 / 2));
    CHECK(pool.stats().total == 0);
}

TEST_CASE("one pool serves an io_context on each of four threads") {
    asio::io_context home;
    pool pool{home.get_executor(), fixture::settings("contexts", {.min = 2, .max = 4})};
    std::atomic<int> answered = 0;
    std::atomic<int> elsewhere = 0;
    auto work = asio::make_work_guard(home);
    std::jthread home_thread{[&] { home.run(); }};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                asio::io_context mine;
                const auto client = [&]() -> asio::awaitable<void> {
                    for (int i = 0; i < 20; ++i) {
                        auto lease = co_await pool.acquire();
                        co_await lease->query("SELECT 1");
                        lease.release();
                        elsewhere += mine.get_executor().running_in_this_thread() ? 0 : 1;
                        ++answered;
                    }
                };
                for (int i = 0; i < 25; ++i) {
                    asio::co_spawn(mine, client(), asio::detached);
                }
                mine.run();
            });
        }
    }
    CHECK(answered == 4 * 25 * 20);
    CHECK(elsewhere == 0);
    asio::co_spawn(home, pool.close(1s), asio::detached);
    work.reset();
}
