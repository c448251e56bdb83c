#pragma once

#include "figures.hpp"
#include "process_usage.hpp"

#include <trunkline/histogram.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace trunkline::bench {

using bench_clock = std::chrono::steady_clock;

/// How long one round lasts.
struct round_time {
    std::chrono::milliseconds warm_up{500};
    std::chrono::milliseconds measured{3'000};
};

inline constexpr std::int64_t item_count = 100'000;
inline constexpr const char* item_query = "SELECT payload FROM items WHERE id = $1";
inline constexpr std::size_t item_bytes = 100;

/// Makes the table that both loops read, unless it is there already.
void make_items(const std::string& url);

/// What both loops count in the same way, so that the harness costs them the same: it looks at the clock only when an
/// operation is asked for, gets its connection, and ends.
class closed_loop {
public:
    explicit closed_loop(round_time time) : time_{time} {}

    /// All clients are there.
    void begin() noexcept;
    /// An operation ended: `asked`, `served` with a connection, and now over. False: stop, the round is over.
    bool on_done(bench_clock::time_point asked, bench_clock::time_point served, bench_clock::time_point now) noexcept;
    [[nodiscard]] bool over() const noexcept { return phase_ == phase::over; }
    /// The item that the next operation reads.
    [[nodiscard]] std::int64_t next_item() noexcept;
    [[nodiscard]] query_figures figures() const;

private:
    enum class phase {
        warming_up,  ///< operations are not counted
        measuring,   ///< they are
        over,        ///< no new ones
    };

    round_time time_;
    phase phase_ = phase::warming_up;
    bench_clock::time_point next_phase_;
    bench_clock::time_point measuring_since_;
    bench_clock::duration measured_{};
    process_usage usage_;
    std::uint64_t random_ = 0x9e3779b97f4a7c15;
    histogram_snapshot latency_;
    histogram_snapshot wait_;
};

}  // namespace trunkline::bench
