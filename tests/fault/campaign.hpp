#pragma once

#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/sanitizer.hpp"

#include <trunkline/histogram.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

/// What the campaigns share: long proofs of a promise's figures. Each has a short form, which is a test like any other,
/// and a full one: `./tests/run campaign NAME`.
namespace trunkline::test::campaign {

inline bool full() {
    const char* const form = std::getenv("TRUNKLINE_CAMPAIGN");
    return form != nullptr && std::string_view{form} == "full";
}

inline constexpr bool sanitized =
#ifdef TRUNKLINE_TEST_SANITIZED
    true;
#else
    false;
#endif

/// How much of something this form does; under a sanitizer a fifth of the short one's, and at least one.
template <typename Count>
Count scaled(Count in_full, Count in_short) {
    if (full()) {
        return in_full;
    }
    return sanitized ? std::max(in_short / 5, Count{1}) : in_short;
}

/// The promised time; in the short form, ten times as much and a second: such a test must not fail because of what else
/// the machine does. The figure is printed in any case.
inline std::chrono::milliseconds bound(std::chrono::milliseconds promised) {
    return full() ? promised : 10 * promised + std::chrono::seconds{1};
}

/// A duration as a report shows it.
struct in_ms {
    template <typename Rep, typename Period>
    explicit in_ms(std::chrono::duration<Rep, Period> time)
        : value{std::chrono::duration<double, std::milli>(time).count()} {}
    friend std::ostream& operator<<(std::ostream& out, in_ms time) {
        return out << std::fixed << std::setprecision(time.value < 10 ? 2 : 0) << time.value << " ms";
    }
    double value;
};

/// How long something took, each time.
class sample {
public:
    void add(std::chrono::nanoseconds took) { all_.push_back(took); }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    /// What half of them did not exceed; of an even number the upper one. The same for other parts. At least one is needed.
    [[nodiscard]] std::chrono::nanoseconds median() const { return quantile(0.5); }
    [[nodiscard]] std::chrono::nanoseconds longest() const { return quantile(1); }
    [[nodiscard]] std::chrono::nanoseconds quantile(double part) const {
        REQUIRE_FALSE(all_.empty());
        auto sorted = all_;
        std::sort(sorted.begin(), sorted.end());
        const auto at = static_cast<std::size_t>(part * static_cast<double>(sorted.size()));
        return sorted[std::min(at, sorted.size() - 1)];
    }
    friend std::ostream& operator<<(std::ostream& out, const sample& of) {
        return out << "median " << in_ms(of.median()) << ", p99 " << in_ms(of.quantile(0.99)) << ", longest "
                   << in_ms(of.longest()) << " of " << of.size();
    }

private:
    std::vector<std::chrono::nanoseconds> all_;
};

/// Gives the time from `begin` until it holds, to half a millisecond; nothing if it does not within half a minute.
template <typename Condition>
boost::asio::awaitable<std::optional<std::chrono::nanoseconds>> time_until(std::chrono::steady_clock::time_point begin,
                                                                           Condition holds) {
    boost::asio::steady_timer timer{co_await boost::asio::this_coro::executor};
    while (!holds()) {
        if (std::chrono::steady_clock::now() > begin + std::chrono::seconds{30}) {
            co_return std::nullopt;
        }
        timer.expires_after(std::chrono::microseconds{500});
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
    co_return std::chrono::steady_clock::now() - begin;
}

/// User and system time of this process and all its threads.
inline std::chrono::nanoseconds cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& t) {
        return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

/// What this process has resident.
inline double resident_mib() {
    std::ifstream pages{"/proc/self/statm"};
    std::size_t total = 0;
    std::size_t resident = 0;
    pages >> total >> resident;
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

/// Durations that several threads measure.
class shared_histogram {
public:
    void record(std::chrono::nanoseconds value) noexcept {
        counts_[histogram_scale::bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t count() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& c : counts_) {
            sum += c.load(std::memory_order_relaxed);
        }
        return sum;
    }
    [[nodiscard]] std::chrono::nanoseconds quantile(double q) const noexcept {
        const auto wanted = q * static_cast<double>(count());
        double seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += static_cast<double>(counts_[i].load(std::memory_order_relaxed));
            if (seen > 0 && seen >= wanted) {
                return histogram_scale::middle(i);
            }
        }
        return {};
    }

private:
    std::array<std::atomic<std::uint64_t>, histogram_scale::buckets> counts_{};
};

/// Counts how many of its kind live: in each coroutine and handler of a campaign, to see that none is left.
class canary {
public:
    explicit canary(std::atomic<int>& alive) noexcept : alive_{&alive} { ++*alive_; }
    canary(const canary& other) noexcept : alive_{other.alive_} { ++*alive_; }
    canary& operator=(const canary&) = delete;
    ~canary() { --*alive_; }

private:
    std::atomic<int>* alive_;
};

/// Four threads: all on one io_context, or each on one of its own.
class crew {
public:
    static constexpr std::size_t threads = 4;

    explicit crew(bool one_for_all) {
        for (std::size_t i = 0; i < (one_for_all ? 1 : threads); ++i) {
            contexts_.push_back(std::make_unique<boost::asio::io_context>());
        }
    }
    /// Where a pool lives.
    [[nodiscard]] boost::asio::io_context& home() const noexcept { return *contexts_.front(); }
    /// Where the client of that number lives.
    [[nodiscard]] boost::asio::io_context& of(std::size_t client) const noexcept {
        return *contexts_[client % contexts_.size()];
    }
    /// Until nothing is left to do on any.
    void run() {
        std::vector<std::jthread> all;
        for (std::size_t i = 0; i < threads; ++i) {
            all.emplace_back([&context = of(i)] { context.run(); });
        }
    }

private:
    std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
};

}  // namespace trunkline::test::campaign
