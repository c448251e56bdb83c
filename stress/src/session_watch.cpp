#include "session_watch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

#include <algorithm>

namespace trunkline::stress {

namespace {

constexpr std::chrono::milliseconds interval{100};
constexpr std::chrono::milliseconds closing_grace{1'000};

pool_settings one_connection(pool_settings settings) {
    settings.size = {.min = 1, .max = 1};
    return settings;
}

}  // namespace

session_watch::session_watch(boost::asio::any_io_executor executor, pool_settings settings, std::string watched)
    : own_{executor, one_connection(std::move(settings))},
      watched_{std::move(watched)},
      sleep_{executor},
      under_way_{executor} {}

boost::asio::awaitable<void> session_watch::start() {
    co_await own_.start();
    under_way_.enter();
    boost::asio::co_spawn(own_.get_executor(), watch(), [this](const std::exception_ptr&) { under_way_.leave(); });
}

boost::asio::awaitable<void> session_watch::stop() {
    stopping_ = true;
    sleep_.wake_all();
    co_await under_way_.async_wait_empty(boost::asio::deferred);
    co_await own_.close(closing_grace);
}

boost::asio::awaitable<void> session_watch::watch() {
    auto due = sleeper::clock::now();
    while (!stopping_) {
        try {
            const auto seen =
                co_await own_.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", watched_);
            const auto sessions = static_cast<std::size_t>(seen[0].get<std::int64_t>(0));
            most_ = std::max(most_.load(), sessions);
            ++samples_;
        } catch (const std::exception&) {
            // The server may be stopped and started again under load: the next look will tell.
        }
        due = std::max(due + interval, sleeper::clock::now());
        co_await sleep_.async_sleep_until(due, boost::asio::deferred);
    }
}

}  // namespace trunkline::stress
