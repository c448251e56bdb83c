#include "support/allocation_interposer.hpp"
#include "support/catch.hpp"
#include "support/clock_interposer.hpp"
#include "support/postgres_server.hpp"
#include "support/run.hpp"
#include "support/syscall_ban.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <malloc.h>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace trunkline;
using namespace trunkline::test;
using namespace std::chrono_literals;

constexpr std::size_t connections = 4;
constexpr int cycles = 1'000;

/// A pool whose connections are all open, on one io_context and one thread.
struct warm_pool {
    asio::io_context context{1};
    pool lines;

    explicit warm_pool(const std::string& url) : lines{context.get_executor(), settings_of(url)} {}

    static pool_settings settings_of(const std::string& url) {
        pool_settings settings;
        settings.size.min = connections;
        settings.size.max = connections;
        settings.connect.url = url;
        settings.acquire.timeout = 60s;
        return settings;
    }

    void run(const std::function<asio::awaitable<void>(warm_pool&)>& body) {
        test::run(context, [&]() -> asio::awaitable<void> {
            co_await lines.start();
            co_await body(*this);
            co_await lines.close(10s);
        });
    }
};

asio::awaitable<void> acquire_and_release(pool& lines, int times) {
    for (int i = 0; i < times; ++i) {
        auto borrowed = co_await lines.acquire();
    }
}

std::vector<lease> take_all(pool& lines) {
    std::vector<lease> held;
    while (auto got = lines.try_acquire()) {
        held.push_back(std::move(*got));
    }
    return held;
}

asio::awaitable<void> pause(asio::io_context& context, std::chrono::milliseconds time) {
    asio::steady_timer timer{context, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// A client with nothing of its own.
asio::awaitable<void> acquire_once(pool& lines) { auto borrowed = co_await lines.acquire(); }

[[maybe_unused]] std::optional<int> first_call_of(const std::string& url, const std::function<void()>& planted) {
    return first_system_call([&] {
        warm_pool with{url};
        const auto body = [&](warm_pool& own) -> asio::awaitable<void> {
            co_await acquire_and_release(own.lines, cycles);
            forbid_system_calls();
            co_await acquire_and_release(own.lines, cycles);
            planted();
            ::_exit(0);
        };
        with.run(body);
    });
}

std::size_t rss_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    std::ifstream{"/proc/self/statm"} >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

struct used_so_far {
    std::chrono::microseconds cpu{};
    long switches = 0;
};

used_so_far usage_of_process() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return {std::chrono::seconds{used.ru_utime.tv_sec + used.ru_stime.tv_sec} +
                std::chrono::microseconds{used.ru_utime.tv_usec + used.ru_stime.tv_usec},
            used.ru_nvcsw + used.ru_nivcsw};
}

/// One server for all cases of this file.
const std::string& url() {
    static const postgres_server server;
    static const std::string address = server.url();
    return address;
}

/// A client's failure ends the run.
void rethrow(std::exception_ptr failed) {
    if (failed) {
        std::rethrow_exception(failed);
    }
}

struct handoffs {
    int done = 0;
    int counted_from = 0;
    int counted_to = 0;
    std::uint64_t allocations = 0;
    std::size_t clients = 0;
};

asio::awaitable<void> hand_over(pool& lines, handoffs& count) {
    ++count.clients;
    while (count.done < count.counted_to) {
        auto borrowed = co_await lines.acquire();
        ++count.done;
        if (count.done == count.counted_from || count.done == count.counted_to) {
            count.allocations = allocations_of_this_thread() - count.allocations;
        }
    }
    --count.clients;
}

}  // namespace

TEST_CASE("AQ-1: an acquire that finds a free connection neither allocates nor reads a clock") {
    warm_pool with{url()};
    const auto body = [](warm_pool& own) -> asio::awaitable<void> {
        co_await acquire_and_release(own.lines, cycles);
        const auto allocations = allocations_of_this_thread();
        const auto clock_reads = clock_reads_of_this_thread();
        for (int i = 0; i < cycles; ++i) {  // here, for another coroutine would have a frame of its own
            auto borrowed = co_await own.lines.acquire();
        }
        const auto allocated = allocations_of_this_thread() - allocations;
        const auto read = clock_reads_of_this_thread() - clock_reads;
        CHECK(allocated == 0);
        CHECK(read == 0);
    };
    with.run(body);

    // The counters do count.
    if (counts_allocations()) {
        const auto before = allocations_of_this_thread();
        const std::vector<int> planted(1'000);
        CHECK(planted.size() == 1'000);
        CHECK(allocations_of_this_thread() > before);
    } else {
        WARN("a sanitizer is built in: allocations are not counted");
    }
    if (counts_clock_reads) {
        const auto before = clock_reads_of_this_thread();
        CHECK(std::chrono::steady_clock::now().time_since_epoch().count() > 0);
        CHECK(clock_reads_of_this_thread() > before);
    }
}

TEST_CASE("AQ-1: an acquire that finds a free connection does not suspend") {
    warm_pool with{url()};
    const auto body = [](warm_pool& own) -> asio::awaitable<void> {
        bool others_ran = false;
        asio::post(own.context, [&] { others_ran = true; });
        co_await acquire_and_release(own.lines, cycles);
        CHECK_FALSE(others_ran);
        co_await asio::post(own.context, asio::use_awaitable);
        CHECK(others_ran);
    };
    with.run(body);
}

TEST_CASE("AQ-1: an acquire that finds a free connection makes no system call") {
#ifdef TRUNKLINE_TEST_SANITIZED
    WARN("a sanitizer is built in, which makes system calls of its own: not checked");
#else
    CHECK_FALSE(first_call_of(url(), [] {}).has_value());
    CHECK(first_call_of(url(), [] { ::syscall(SYS_getppid); }) == SYS_getppid);
#endif
}

TEST_CASE("AQ-4, AQ-11: a connection handed from one waiter to the next costs no allocation") {
    warm_pool with{url()};
    const auto body = [](warm_pool& own) -> asio::awaitable<void> {
        constexpr std::size_t clients = 1'000;
        handoffs count;
        count.counted_from = 5'000;
        count.counted_to = 25'000;
        auto held = take_all(own.lines);  // so that all wait before the first one runs
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(own.context, hand_over(own.lines, count), rethrow);
        }
        co_await pause(own.context, 5ms);
        const auto immediate = own.lines.stats().immediate;
        held.clear();
        do {
            co_await pause(own.context, 5ms);
        } while (count.clients > 0);
        CHECK(own.lines.stats().immediate == immediate);
        // The watching coroutine above allocates a little now and then.
        const auto per_thousand =
            count.allocations * 1'000 / static_cast<std::uint64_t>(count.counted_to - count.counted_from);
        CHECK(per_thousand == 0);
    };
    with.run(body);
}

TEST_CASE("AQ-10, AQ-11: ten thousand parked waiters take a kibibyte each and no time") {
    warm_pool with{url()};
    const auto body = [](warm_pool& own) -> asio::awaitable<void> {
        constexpr std::size_t clients = 10'000;
        auto held = take_all(own.lines);
        [[maybe_unused]] const auto rss = rss_bytes();
        for (std::size_t i = 0; i < clients; ++i) {
            asio::co_spawn(own.context, acquire_once(own.lines), rethrow);
        }
        co_await pause(own.context, 100ms);
        const auto waiting = own.lines.stats().waiting;
        CHECK(waiting == clients);
#ifndef TRUNKLINE_TEST_SANITIZED
        CHECK((rss_bytes() - rss) / clients <= 1'024);
#endif
        const auto before = usage_of_process();
        co_await pause(own.context, 5s);
        const auto after = usage_of_process();
#ifndef TRUNKLINE_TEST_SANITIZED  // the thread sanitizer has a thread of its own, which wakes up ten times a second
        CHECK(after.cpu - before.cpu < 5ms);  // 0.1 % of one core: this coroutine itself wakes once
        CHECK(after.switches - before.switches < 20);
#else
        CHECK(after.cpu - before.cpu < 250ms);
#endif
        held.clear();
        while (own.lines.stats().waiting > 0) {
            co_await pause(own.context, 5ms);
        }
    };
    with.run(body);
}

TEST_CASE("AQ-11: ten thousand waiting callbacks take at most 4 MiB") {
    warm_pool with{url()};
    const auto body = [](warm_pool& own) -> asio::awaitable<void> {
        constexpr std::size_t clients = 10'000;
        auto held = take_all(own.lines);
        [[maybe_unused]] const auto before = ::mallinfo2().uordblks;  // one thread: all is in this arena
        std::size_t served = 0;
        for (std::size_t i = 0; i < clients; ++i) {
            own.lines.async_acquire([&served](const error_code& code, const lease&) { served += code ? 0 : 1; });
        }
        const auto waiting = own.lines.stats().waiting;
        CHECK(waiting == clients);
#ifndef TRUNKLINE_TEST_SANITIZED
        const auto taken = ::mallinfo2().uordblks - before;
        WARN("a waiting callback takes " << taken / clients << " bytes");
        CHECK(taken <= 4 * 1'024 * 1'024);
#endif
        held.clear();
        while (served < clients) {
            co_await pause(own.context, 5ms);
        }
    };
    with.run(body);
}
