#include "pool_run.hpp"

#include <boost/asio/co_spawn.hpp>

#include <chrono>

namespace trunkline::bench {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

pool_settings settings_of(const std::string& url, std::size_t connections) {
    pool_settings settings;
    settings.name = "bench";
    settings.size.min = connections;
    settings.size.max = connections;
    settings.connect.url = url;
    settings.connect.timeout = 30s;
    settings.connect.application_name = "trunkline-bench";
    settings.prepare.mode = prepare_mode::off;  // the plain loop prepares nothing either
    settings.acquire.timeout = 60s;  // 10,000 on 10 of a slow machine; nothing may time out here
    return settings;
}

}  // namespace

pool_run::pool_run(const std::string& url, std::size_t connections)
    : pool_{context_.get_executor(), settings_of(url, connections)} {}

void pool_run::run(const body& measure) {
    spawn(drive(measure));
    context_.run();
    if (failure_) {
        std::rethrow_exception(failure_);
    }
}

void pool_run::spawn(asio::awaitable<void> client) {
    asio::co_spawn(context_, std::move(client), [this](std::exception_ptr failed) {
        if (failed && !failure_) {
            failure_ = failed;
            context_.stop();
        }
    });
}

asio::awaitable<void> pool_run::drive(const body& measure) {
    co_await pool_.start();
    co_await measure(*this);
    co_await pool_.close(10s);
}

}  // namespace trunkline::bench
