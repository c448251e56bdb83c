#pragma once

#include "../integration/pool_fixture.hpp"
#include "support/reached.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>

namespace trunkline::test {

/// A pool on that URL. These tests kill sessions and stop servers: never on a server that was given.
inline pool_settings settings_on(const std::string& url, const std::string& application, size_settings size) {
    pool_settings settings;
    settings.name = application;
    settings.size = size;
    settings.connect.url = url;
    settings.connect.application_name = application;
    return settings;
}
inline pool_settings settings_on(const postgres_server& server, const std::string& application, size_settings size) {
    return settings_on(server.url(), application, size);
}

/// The descriptors that this process has open.
inline std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// A process of the server's that does nothing until this is gone.
class stopped_process {
public:
    explicit stopped_process(int pid) : pid_{pid} {
        if (::kill(pid_, SIGSTOP) != 0) {
            throw std::system_error{errno, std::generic_category(), "stopping a process of the server's"};
        }
    }
    stopped_process(const stopped_process&) = delete;
    stopped_process& operator=(const stopped_process&) = delete;
    ~stopped_process() { ::kill(pid_, SIGCONT); }

private:
    int pid_;
};

/// What became of one statement.
struct fate {
    error_code code;   ///< none: it was answered
    std::string text;  ///< the first value of the answer, or the words of the failure
    std::chrono::steady_clock::time_point when{};
};

template <typename Where>
boost::asio::awaitable<fate> ask(Where& where, std::string sql) {
    fate seen;
    try {
        const auto rows = co_await where.query(sql);
        seen.text = rows[0].template get<std::string>(0);
    } catch (const error& failure) {
        seen.code = failure.code();
        seen.text = failure.what();
    }
    seen.when = std::chrono::steady_clock::now();
    co_return seen;
}

}  // namespace trunkline::test
