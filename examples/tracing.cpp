// What a program hears of its statements: slow ones in the log, a histogram of each, and a trace in the server's log.
//
//   tracing postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// How long each statement took, by its text.
class statement_histograms {
public:
    void record(const trunkline::statement_report& one) {
        const std::lock_guard lock{mutex_};
        auto at = all_.find(one.statement);
        if (at == all_.end()) {
            at = all_.try_emplace(all_.size() < most_ ? std::string{one.statement} : "all others").first;
        }
        at->second.times.record(one.took);
        at->second.rows += one.rows;
        at->second.failed += one.code ? 1 : 0;
    }

    void print(std::ostream& to) const {
        const std::lock_guard lock{mutex_};
        for (const auto& [text, of] : all_) {
            to << of.times.count << " times (" << of.failed << " failed), " << of.rows << " rows, p99 "
               << of.times.quantile(0.99) / 1us << " us: " << text << '\n';
        }
    }

private:
    struct entry {
        trunkline::histogram_snapshot times;  // 6.5 KiB
        std::uint64_t rows = 0;
        std::uint64_t failed = 0;
    };

    static constexpr std::size_t most_ = 500;  // a program that puts values into its texts has no end of them
    mutable std::mutex mutex_;
    std::map<std::string, entry, std::less<>> all_;
};

trunkline::pool_hooks hooks_for(statement_histograms& histograms) {
    trunkline::pool_hooks hooks;
    hooks.on_statement = [&histograms](const trunkline::statement_report& one) {
        histograms.record(one);
        if (one.took > 200ms) {
            std::clog << "slow: " << one.took / 1ms << " ms (" << one.waited / 1ms << " until it was sent) in session "
                      << one.backend_pid << ": " << one.statement << '\n';
        }
    };
    return hooks;
}

asio::awaitable<void> traced(trunkline::pool& pool, std::string_view trace_parent) {
    auto lease = co_await pool.acquire();
    const trunkline::query_options options{.trace_parent = trace_parent};
    const auto rows = co_await lease->query(
        options, "SELECT application_name, query FROM pg_stat_activity WHERE pid = pg_backend_pid()");
    std::cout << rows[0].get<std::string_view>(0) << " runs " << rows[0].get<std::string_view>(1) << '\n';
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    for (int i = 0; i < 100; ++i) {
        co_await pool.query("SELECT generate_series(1, $1)", i);
    }
    co_await pool.query("SELECT pg_sleep(0.25)");
    co_await traced(pool, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    co_await pool.close(5s);
}

int main(int argc, char** argv) {
    statement_histograms histograms;  // before the context: a pool reports for as long as that lives
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    settings.connect.application_name = "tour";
    trunkline::pool pool{context.get_executor(), settings, hooks_for(histograms)};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
    histograms.print(std::cout);
}
