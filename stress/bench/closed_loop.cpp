#include "closed_loop.hpp"

#include "support/plain_libpq.hpp"

namespace trunkline::bench {

namespace {

double milliseconds(std::chrono::nanoseconds value) { return static_cast<double>(value.count()) / 1e6; }

}  // namespace

void make_items(const std::string& url) {
    test::plain_connection session{url};
    if (session.scalar("SELECT to_regclass('items') IS NULL") != "t") {
        if (session.count("SELECT count(*) FROM items WHERE id BETWEEN 1 AND " + std::to_string(item_count) +
                          " AND length(payload) = " + std::to_string(item_bytes)) == std::size_t{item_count}) {
            return;
        }
        throw std::runtime_error{"the database has a table `items` that is not this program's: give it another one"};
    }
    session.execute("CREATE TABLE items AS SELECT n::bigint AS id, lpad(n::text, " + std::to_string(item_bytes) +
                    ", 'x') AS payload FROM generate_series(1, " + std::to_string(item_count) + ") AS n");
    session.execute("ALTER TABLE items ADD PRIMARY KEY (id)");
    session.execute("VACUUM ANALYZE items");
}

void closed_loop::begin() noexcept { next_phase_ = bench_clock::now() + time_.warm_up; }

bool closed_loop::on_done(bench_clock::time_point asked, bench_clock::time_point served,
                          bench_clock::time_point now) noexcept {
    if (now >= next_phase_) {
        switch (phase_) {
        case phase::warming_up:
            phase_ = phase::measuring;
            measuring_since_ = now;
            next_phase_ = now + time_.measured;
            usage_ = usage_now();
            return true;
        case phase::measuring: {
            const auto used = usage_now();
            usage_ = {used.cpu - usage_.cpu, used.context_switches - usage_.context_switches};
            measured_ = now - measuring_since_;
            phase_ = phase::over;
            return false;
        }
        case phase::over: return false;
        }
    }
    if (phase_ == phase::measuring) {
        latency_.record(now - asked);
        wait_.record(served - asked);
    }
    return phase_ != phase::over;
}

std::int64_t closed_loop::next_item() noexcept {
    // xorshift64: cheap, and the same items in the same order for both loops.
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    return static_cast<std::int64_t>(random_ % static_cast<std::uint64_t>(item_count)) + 1;
}

query_figures closed_loop::figures() const {
    const auto operations = static_cast<double>(latency_.count);
    query_figures measured;
    measured.throughput_per_s = ratio_of(operations, std::chrono::duration<double>{measured_}.count());
    measured.cpu_us_per_query = ratio_of(static_cast<double>(usage_.cpu.count()), operations);
    measured.p50_ms = milliseconds(latency_.quantile(0.5));
    measured.p99_ms = milliseconds(latency_.quantile(0.99));
    measured.p999_ms = milliseconds(latency_.quantile(0.999));
    measured.wait_p50_ms = milliseconds(wait_.quantile(0.5));
    measured.wait_p999_ms = milliseconds(wait_.quantile(0.999));
    measured.peak_rss_mib = static_cast<double>(peak_rss_bytes()) / (1024.0 * 1024.0);
    return measured;
}

}  // namespace trunkline::bench
