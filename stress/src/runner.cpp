#include "runner.hpp"

#include "numbers.hpp"
#include "process_usage.hpp"
#include "rate_search.hpp"
#include "schema.hpp"
#include "server_access.hpp"
#include "user_error.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>

#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

namespace trunkline::stress {

namespace {

constexpr std::chrono::milliseconds redraw_interval{500};
constexpr std::chrono::milliseconds closing_grace{5'000};
constexpr double first_capacity_rate = 100;
constexpr int interrupted_exit_code = 130;

}  // namespace

runner::runner(const options& asked, std::string url, post_source& posts, progress& shown)
    : asked_{asked},
      posts_{posts},
      io_{static_cast<int>(asked.threads)},
      signals_{io_},
      pool_{io_.get_executor(), run_settings(asked, url)},
      watch_{io_.get_executor(), watch_settings(asked, url), run_application_name()},
      terms_{asked.seed},
      progress_sleep_{io_.get_executor()},
      progress_gate_{io_.get_executor()},
      board_{shown, pool_} {
    report_.asked = asked;
}

report runner::run() {
    signals_.add(SIGINT);
    signals_.add(SIGTERM);
    await_signal();
    progress_gate_.enter();
    boost::asio::co_spawn(io_, show_progress(), [this](const std::exception_ptr&) { progress_gate_.leave(); });
    boost::asio::co_spawn(io_, main_job(), boost::asio::detached);
    {
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < asked_.threads; ++i) {
            others.emplace_back([this] { io_.run(); });
        }
        io_.run();
    }
    if (failure_) {
        std::rethrow_exception(failure_);
    }
    report_.interrupted = board_.interrupted();
    report_.client_peak_rss_mib = peak_rss_mib();
    return std::move(report_);
}

/// The job, and then the clearing up, whatever became of it.
boost::asio::awaitable<void> runner::main_job() {
    try {
        co_await do_job();
    } catch (...) {
        failure_ = std::current_exception();
    }
    try {
        co_await clean_up();
    } catch (...) {
        failure_ = failure_ ? failure_ : std::current_exception();
    }
    finished_ = true;
    progress_sleep_.wake_all();
    co_await progress_gate_.async_wait_empty(boost::asio::deferred);
    signals_.cancel();
}

boost::asio::awaitable<void> runner::do_job() {
    board_.enter("connecting");
    co_await connect();
    co_await load();
    if (board_.interrupted()) {
        co_return;
    }
    const auto posts = co_await read_catalogue(pool_);
    if (posts.size() == 0) {
        throw user_error("there is no post to work on; give files with posts, or leave --posts out for synthetic ones");
    }
    if (terms_.empty() && asked_.operations.has(operation::search)) {
        throw user_error("no title has a word of four letters to search for; leave search out of --mix");
    }
    ledger book{posts.size()};
    const operation_context context{posts, terms_, book};
    if (asked_.mode == run_mode::capacity) {
        co_await run_capacity(context);
    } else {
        co_await run_once(context);
    }
    report_.pool = pool_.stats();
    board_.enter("looking for every acknowledged write");
    co_await audit(pool_, posts, book);
    report_.writes = book.close();
    if (asked_.wanted) {
        report_.verdict = evaluate(*asked_.wanted, values_of(report_.run, report_.writes));
    }
}

/// The watch first: it is there before the first session that it counts, and one refusal is enough.
boost::asio::awaitable<void> runner::connect() {
    try {
        co_await watch_.start();
        co_await refuse_too_many_connections();
        co_await pool_.start();
    } catch (const error& problem) {
        throw user_error(describe_connect_failure(problem));
    }
    co_await create_schema(pool_, run_application_name());
    schema_made_ = true;
}

boost::asio::awaitable<void> runner::refuse_too_many_connections() {
    const auto found = co_await watch_.connection_beside().query(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int");
    const auto allowed = found[0].get<std::int64_t>(0);
    if (static_cast<std::int64_t>(asked_.connections) + 1 > allowed) {
        throw user_error("--connections: the server allows " + std::to_string(allowed) +
                         " sessions and one watches the others; give at most " + std::to_string(allowed - 1) +
                         ", or raise max_connections there");
    }
}

boost::asio::awaitable<void> runner::load() {
    loader loading{pool_, posts_, terms_};
    const auto began = workload::clock::now();
    board_.enter(loading);
    std::exception_ptr problem;
    try {
        co_await loading.run();
    } catch (...) {
        problem = std::current_exception();
    }
    board_.enter("building the full-text index");
    if (problem) {
        std::rethrow_exception(problem);
    }
    if (!board_.interrupted()) {
        co_await create_index(pool_);
    }
    report_.load.loaded = loading.loaded();
    report_.load.duplicates = loading.duplicates();
    report_.load.elapsed = workload::clock::now() - began;
    board_.say(with_commas(loading.loaded()) + " posts loaded in " + short_time(report_.load.elapsed));
}

workload_settings runner::settings_for_run() const {
    workload_settings settings;
    settings.clients = asked_.clients;
    settings.threads = asked_.threads;
    settings.seed = asked_.seed;
    settings.operations = asked_.operations;
    settings.think = asked_.think;
    settings.rate = asked_.rate;
    settings.acquire_timeout = asked_.acquire_timeout;
    settings.warm_up = asked_.warm_up;
    settings.duration = asked_.duration;
    return settings;
}

boost::asio::awaitable<void> runner::run_once(operation_context context) {
    report_.run = co_await run_workload(context, settings_for_run(), std::string{});
}

boost::asio::awaitable<void> runner::run_capacity(operation_context context) {
    rate_search search{asked_.rate.value_or(first_capacity_rate)};
    auto settings = settings_for_run();
    settings.duration = asked_.step;
    while (const auto rate = search.next()) {
        settings.rate = rate;
        auto title = "at " + decimal(*rate, 0) + "/s  ";
        auto measured = co_await run_workload(context, settings, std::move(title));
        if (board_.interrupted()) {
            break;
        }
        const auto values = values_of(measured, write_counts{});
        const bool held = evaluate(*asked_.wanted, values).passed;
        search.on_result(held);
        report_.steps.push_back({*rate, held, values.throughput_per_s, values.p99_ms, values.errors});
        board_.say(decimal(*rate, 0) + "/s " + (held ? "held" : "broke") + ": p99 " + decimal(values.p99_ms, 1) +
                   " ms, " + with_commas(values.errors) + " errors");
        if (held || !search.held()) {
            report_.run = std::move(measured);
        }
    }
}

boost::asio::awaitable<measurements> runner::run_workload(operation_context context, workload_settings settings,
                                                          std::string title) {
    workload running{pool_, context, settings};
    board_.enter(running, std::move(title), settings.warm_up + settings.duration);
    co_await running.run();
    board_.enter("counting");
    co_return running.results();
}

boost::asio::awaitable<void> runner::clean_up() {
    board_.enter("cleaning up");
    if (report_.pool.max == 0) {
        report_.pool = pool_.stats();  // nothing was run
    }
    if (schema_made_ && !asked_.database_url.empty()) {
        try {
            co_await drop_schema(pool_);
        } catch (const error& problem) {
            board_.say("the schema could not be dropped: " + std::string{problem.what()});
        }
    }
    co_await pool_.close(closing_grace);
    co_await watch_.stop();
    report_.server_connections_max = watch_.most();
    report_.server_looks = watch_.samples();
}

boost::asio::awaitable<void> runner::show_progress() {
    auto due = sleeper::clock::now();
    while (!finished_) {
        board_.draw();
        due = std::max(due + redraw_interval, sleeper::clock::now());
        co_await progress_sleep_.async_sleep_until(due, boost::asio::deferred);
    }
}

void runner::await_signal() {
    signals_.async_wait([this](const boost::system::error_code& problem, int) {
        if (problem) {
            return;
        }
        if (board_.interrupted()) {
            // The throwaway server ends with the process.
            std::_Exit(interrupted_exit_code);
        }
        board_.say("interrupted: ending the run; once more to end at once");
        board_.interrupt();
        await_signal();
    });
}

}  // namespace trunkline::stress
