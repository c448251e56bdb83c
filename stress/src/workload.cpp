#include "workload.hpp"

#include "process_usage.hpp"

#include <trunkline/error.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

namespace trunkline::stress {

namespace {

/// How long a client of a closed loop waits after a failure, so that an absent server is not asked a million times.
constexpr std::chrono::milliseconds pause_after_failure{100};
constexpr std::uint64_t client_seed_step = 0xD1342543DE82EF95U;

struct described {
    std::string kind;
    std::string message;
};

described describe(const std::exception_ptr& problem) {
    try {
        std::rethrow_exception(problem);
    } catch (const error& failure) {
        const auto code = failure.sqlstate();
        return {code.empty() ? failure.code().message() : "sqlstate " + std::string{code}, failure.what()};
    } catch (const wrong_answer& failure) {
        return {"wrong answer", failure.what()};
    } catch (const std::exception& failure) {
        return {"exception", failure.what()};
    }
}

}  // namespace

std::uint64_t measurements::ok() const {
    std::uint64_t sum = 0;
    for (const auto& tally : tallies) {
        sum += tally.ok;
    }
    return sum;
}

std::uint64_t measurements::failed() const {
    std::uint64_t sum = 0;
    for (const auto& tally : tallies) {
        sum += tally.failed;
    }
    return sum;
}

double measurements::throughput_per_s() const {
    const double seconds = std::chrono::duration<double>(elapsed).count();
    return seconds > 0 ? static_cast<double>(ok()) / seconds : 0;
}

workload::workload(pool& on, operation_context context, workload_settings settings)
    : pool_{on},
      context_{context},
      settings_{settings},
      clients_sleep_{on.get_executor()},
      phases_sleep_{on.get_executor()},
      clients_{on.get_executor()},
      latency_{latency_recorder{settings.threads}, latency_recorder{settings.threads},
               latency_recorder{settings.threads}, latency_recorder{settings.threads}},
      missed_{settings.threads},
      acquire_wait_{settings.threads} {}

boost::asio::awaitable<void> workload::run() {
    const auto executor = pool_.get_executor();
    start_ = clock::now();
    end_ = start_ + settings_.warm_up + settings_.duration;
    if (settings_.rate) {
        schedule_ = std::make_unique<arrivals>(*settings_.rate, start_, settings_.seed);
    }
    begin_measuring();
    for (std::size_t i = 0; i < settings_.clients; ++i) {
        clients_.enter();
        boost::asio::co_spawn(executor, run_client(i), [this](const std::exception_ptr&) { clients_.leave(); });
    }
    co_await phases_sleep_.async_sleep_until(start_ + settings_.warm_up, boost::asio::deferred);
    // Who interrupts the warm-up hears of that.
    if (!stopping_) {
        begin_measuring();
    }
    co_await phases_sleep_.async_sleep_until(end_, boost::asio::deferred);
    end_measuring();
    stop();
    co_await clients_.async_wait_empty(boost::asio::deferred);
    // What no client came to draw: all of them were busy with what was due earlier.
    for (const auto ended = measured_from_ + elapsed_; schedule_;) {
        const auto intended = schedule_->next();
        if (intended >= ended) {
            break;
        }
        missed_.record(clock::now() - intended);
    }
}

void workload::stop() {
    stopping_ = true;
    clients_sleep_.wake_all();
    phases_sleep_.wake_all();
}

/// One logical client. Only this frame and `acquire`'s exist while it waits.
boost::asio::awaitable<void> workload::run_client(std::uint64_t number) {
    random_numbers random{settings_.seed + (number + 1) * client_seed_step};
    auto due = first_start(random);
    while (!stopping_) {
        if (due > clock::now()) {
            co_await clients_sleep_.async_sleep_until(due, boost::asio::deferred);
        }
        if (stopping_) {
            break;
        }
        const auto asked = clock::now();
        const auto which = settings_.operations.pick(random.next());
        bool served = false;
        try {
            auto borrowed = co_await pool_.acquire({.timeout = settings_.acquire_timeout});
            acquire_wait_.record(clock::now() - asked);
            if (stopping_) {
                break;
            }
            co_await perform(which, *borrowed, context_, random);
            borrowed.release();
            count_served(which, schedule_ ? due : asked);
            served = true;
        } catch (...) {
            count_failure(which, std::current_exception());
        }
        due = next_start(served, random);
    }
    count_missed(due);
}

/// Thinking clients start spread over one think time, as if they had always been there.
workload::clock::time_point workload::first_start(random_numbers& random) const {
    if (schedule_) {
        return schedule_->next();
    }
    return start_ + std::chrono::duration_cast<clock::duration>(settings_.think * random.fraction());
}

/// Open loop: the next arrival. Closed loop: after the think time, from half of it to one and a half, evenly.
workload::clock::time_point workload::next_start(bool served, random_numbers& random) const {
    if (schedule_) {
        return schedule_->next();
    }
    const auto think = std::chrono::duration_cast<clock::duration>(settings_.think * (0.5 + random.fraction()));
    const auto least = served ? clock::duration{0} : clock::duration{pause_after_failure};
    return clock::now() + std::max(think, least);
}

void workload::count_served(operation which, clock::time_point intended) {
    latency_[index_of(which)].record(clock::now() - intended);
    counters_[index_of(which)].ok.fetch_add(1, std::memory_order_relaxed);
}

void workload::count_failure(operation which, std::exception_ptr problem) {
    const auto what = describe(problem);
    failures_.add(what.kind, what.message);
    counters_[index_of(which)].failed.fetch_add(1, std::memory_order_relaxed);
}

/// The open loop promised to start this one: leaving it out would hide the longest waits.
void workload::count_missed(clock::time_point due) {
    const auto now = clock::now();
    if (schedule_ && due <= now && due < end_) {
        missed_.record(now - due);
    }
}

void workload::begin_measuring() {
    for (std::size_t i = 0; i < operation_count; ++i) {
        latency_[i].reset();
        counters_[i].ok = 0;
    }
    missed_.reset();
    acquire_wait_.reset();
    cpu_at_start_ = cpu_time();
    measured_from_ = clock::now();
}

void workload::end_measuring() {
    elapsed_ = clock::now() - measured_from_;
    cpu_ = cpu_time() - cpu_at_start_;
}

workload_view workload::view() const {
    workload_view seen;
    histogram_snapshot all;
    for (std::size_t i = 0; i < operation_count; ++i) {
        seen.done += counters_[i].ok.load(std::memory_order_relaxed);
        seen.failed += counters_[i].failed.load(std::memory_order_relaxed);
        all.merge(latency_[i].snapshot());
    }
    seen.p99 = all.quantile(0.99);
    return seen;
}

measurements workload::results() const {
    measurements made;
    made.elapsed = elapsed_;
    made.cpu = cpu_;
    for (std::size_t i = 0; i < operation_count; ++i) {
        made.tallies[i] = {counters_[i].ok, counters_[i].failed};
        made.latency_by_kind[i] = latency_[i].snapshot();
        made.latency.merge(made.latency_by_kind[i]);
    }
    const auto missed = missed_.snapshot();
    made.missed = missed.count;
    made.latency.merge(missed);
    made.acquire_wait = acquire_wait_.snapshot();
    made.failures = failures_.kinds();
    return made;
}

}  // namespace trunkline::stress
