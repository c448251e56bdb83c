#include "acquire_bench.hpp"

#include "all_done.hpp"
#include "closed_loop.hpp"
#include "pool_run.hpp"
#include "process_usage.hpp"
#include "support/allocation_counter.hpp"

#include <boost/asio/post.hpp>

#include <stdexcept>
#include <vector>

namespace trunkline::bench {

namespace asio = boost::asio;

namespace {

constexpr int cycles = 1'000;   // in a batch: the two clock reads around it cost 0.05 ns each
constexpr int batches = 1'001;  // the median of them

double nanoseconds(bench_clock::duration value) { return static_cast<double>(std::chrono::nanoseconds{value}.count()); }

asio::awaitable<void> measure_uncontended(pool& connections, uncontended_figures& measured) {
    std::vector<double> by_coroutine;
    std::vector<double> by_try;
    by_coroutine.reserve(batches);
    by_try.reserve(batches);
    std::uint64_t allocations = 0;
    for (int batch = 0; batch < batches; ++batch) {
        const auto allocations_before = test::allocations_of_this_thread();
        const auto begin = bench_clock::now();
        for (int i = 0; i < cycles; ++i) {
            auto lease = co_await connections.acquire();
        }
        const auto middle = bench_clock::now();
        for (int i = 0; i < cycles; ++i) {
            auto lease = connections.try_acquire();
        }
        const auto end = bench_clock::now();
        if (batch > 0) {  // the first one fills caches
            allocations += test::allocations_of_this_thread() - allocations_before;
        }
        by_coroutine.push_back(nanoseconds(middle - begin) / cycles);
        by_try.push_back(nanoseconds(end - middle) / cycles);
    }
    measured.ns = spread_of(std::move(by_coroutine)).median;
    measured.try_ns = spread_of(std::move(by_try)).median;
    measured.allocations = static_cast<double>(allocations) / (2.0 * cycles * (batches - 1));
}

/// Counts hand-offs, between a warm-up and an end that the clients find by the clock, looked at now and then.
struct handoff_count {
    static constexpr std::uint64_t look_every = 256;

    bench_clock::time_point measure_from;
    bench_clock::time_point measure_to;
    std::chrono::microseconds cpu_at_begin{};
    std::chrono::microseconds
        cpu{};  // the thread never rests, so this is its time, and other programs do not add to it
    std::uint64_t total = 0;
    std::uint64_t total_at_begin = 0;
    std::uint64_t allocations_at_begin = 0;
    std::uint64_t allocations = 0;
    bool over = false;

    void on_handoff() {
        if (++total % look_every != 0) {
            return;
        }
        const auto now = bench_clock::now();
        if (total_at_begin == 0 && now >= measure_from) {
            cpu_at_begin = usage_now().cpu;
            total_at_begin = total;
            allocations_at_begin = test::allocations_of_this_thread();
        } else if (!over && now >= measure_to) {
            cpu = usage_now().cpu - cpu_at_begin;
            over = true;
            total -= total_at_begin;
            allocations = test::allocations_of_this_thread() - allocations_at_begin;
        }
    }
};

std::vector<lease> take_all(pool& connections, std::size_t count) {
    std::vector<lease> held;
    while (auto got = connections.try_acquire()) {
        held.push_back(std::move(*got));
    }
    if (held.size() != count) {
        throw std::runtime_error{"the pool did not lend all its connections"};
    }
    return held;
}

void require_waiting(const pool& connections, std::size_t clients) {
    if (connections.stats().waiting != clients) {
        throw std::runtime_error{"not all clients wait"};
    }
}

asio::awaitable<void> take_and_return(pool& connections, handoff_count& count, all_done& done) {
    const all_done::member one{done};
    while (!count.over) {
        auto lease = co_await connections.acquire();
        if (!count.over) {
            count.on_handoff();
        }
    }
}

/// A client with nothing of its own, so that what is measured is what waiting takes.
asio::awaitable<void> one_acquire(pool& connections) { auto lease = co_await connections.acquire(); }

}  // namespace

uncontended_figures run_uncontended(const std::string& url, std::size_t connections) {
    uncontended_figures measured;
    pool_run run{url, connections};
    const auto measure = [&measured](pool_run& with) -> asio::awaitable<void> {
        co_await measure_uncontended(with.connections(), measured);
    };
    run.run(measure);
    return measured;
}

handoff_figures run_handoff(const std::string& url, cell of, std::chrono::milliseconds time) {
    handoff_count count;
    pool_run run{url, of.connections};
    const auto measure = [&](pool_run& with) -> asio::awaitable<void> {
        all_done done{co_await asio::this_coro::executor};
        // Nobody begins before all wait: the first client would never suspend, and never let another one begin.
        auto held = take_all(with.connections(), of.connections);
        for (std::size_t i = 0; i < of.clients; ++i) {
            with.spawn(take_and_return(with.connections(), count, done));
        }
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        require_waiting(with.connections(), of.clients);
        count.measure_from = bench_clock::now() + time / 4;
        count.measure_to = count.measure_from + time;
        held.clear();
        co_await done.wait();
        if (with.connections().stats().granted < count.total) {
            throw std::runtime_error{"connections were taken without waiting"};
        }
    };
    run.run(measure);
    const auto handoffs = static_cast<double>(count.total);
    return {ratio_of(nanoseconds(count.cpu), handoffs), ratio_of(static_cast<double>(count.allocations), handoffs)};
}

parked_figures run_parked(const std::string& url, cell of, std::chrono::seconds time) {
    parked_figures measured;
    pool_run run{url, of.connections};
    const auto measure = [&](pool_run& with) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto held = take_all(with.connections(), of.connections);
        asio::steady_timer rest{executor};
        const auto rss_before = rss_bytes();
        const auto heap_before = heap_bytes();
        for (std::size_t i = 0; i < of.clients; ++i) {
            with.spawn(one_acquire(with.connections()));
        }
        rest.expires_after(std::chrono::milliseconds{100});
        co_await rest.async_wait(asio::use_awaitable);
        const auto waiters = static_cast<double>(of.clients);
        measured.rss_bytes_per_waiter = (static_cast<double>(rss_bytes()) - static_cast<double>(rss_before)) / waiters;
        measured.heap_bytes_per_waiter =
            (static_cast<double>(heap_bytes()) - static_cast<double>(heap_before)) / waiters;
        rest.expires_after(time);
        const auto before = usage_now();
        co_await rest.async_wait(asio::use_awaitable);
        const auto after = usage_now();
        measured.cpu_ms = static_cast<double>((after.cpu - before.cpu).count()) / 1e3;
        measured.context_switches = static_cast<double>(after.context_switches - before.context_switches);
        measured.seconds = static_cast<double>(time.count());
        require_waiting(with.connections(), of.clients);
        held.clear();
        while (with.connections().stats().waiting > 0) {
            rest.expires_after(std::chrono::milliseconds{10});
            co_await rest.async_wait(asio::use_awaitable);
        }
    };
    run.run(measure);
    return measured;
}

}  // namespace trunkline::bench
