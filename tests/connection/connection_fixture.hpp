#pragma once

#include "pg/dialer.hpp"
#include "pg/session.hpp"
#include "support/plain_libpq.hpp"
#include "support/postgres_server.hpp"
#include "support/run.hpp"

#include <trunkline/connection.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

/// Single connections without a pool, on one server for a test program's file.
namespace trunkline::test::fixture {

using namespace std::chrono_literals;

inline postgres_server& server() {
    static postgres_server one;
    return one;
}

/// What a lease would hand out.
class lone_connection final : public connection {
public:
    explicit lone_connection(std::shared_ptr<pg::session> session) { session_ = std::move(session); }
    [[nodiscard]] pg::session& session() const { return *session_; }
};

inline pg::dialed dial(pg::dialer& by, const std::string& url, std::chrono::milliseconds timeout = 10s) {
    connect_settings settings;
    settings.url = url;
    auto told = std::make_shared<std::promise<pg::dialed>>();
    by.dial(std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings)), timeout,
            [told](pg::dialed what) { told->set_value(std::move(what)); });
    return told->get_future().get();
}

inline pg::dialed dial(const std::string& url, std::chrono::milliseconds timeout = 10s) {
    pg::dialer by;
    return dial(by, url, timeout);
}

inline std::shared_ptr<pg::session> open_session(const boost::asio::any_io_executor& on, const std::string& url,
                                                 pg::session::events to = {}) {
    auto dialed = dial(url);
    if (dialed.code) {
        throw error{dialed.code, dialed.said};
    }
    return pg::session::open(on, std::move(dialed.connection), std::move(to));
}

/// Runs `body`, a callable that takes a `lone_connection&` and gives an awaitable, and then closes the connection. It
/// returns when nothing is left to do, so that each test sees that connections end.
template <typename Body>
void with_connection(Body body, const std::string& url = server().url(), pg::session::events to = {},
                     std::size_t threads = 1) {
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), url, std::move(to))};
    const auto whole = [&]() -> boost::asio::awaitable<void> {
        std::exception_ptr thrown;
        try {
            co_await body(on);
        } catch (...) {
            thrown = std::current_exception();
        }
        on.session().close(pool_errc::closed, [] {});
        if (thrown) {
            std::rethrow_exception(thrown);
        }
    };
    run(context, whole, threads);
}

/// What an awaitable threw.
inline boost::asio::awaitable<error> error_of(boost::asio::awaitable<result> running) {
    try {
        (void)co_await std::move(running);
    } catch (const error& thrown) {
        co_return thrown;
    }
    throw std::logic_error{"an error was expected, and none came"};
}

/// Asks again and again until it holds; false after ten seconds.
inline bool comes_true(const std::function<bool()>& asked) {
    for (int i = 0; i < 1'000; ++i) {
        if (asked()) {
            return true;
        }
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

/// How the server lists that session.
inline std::string count_of_session(int backend_pid) {
    return "SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(backend_pid);
}

inline bool session_gone(int backend_pid) {
    plain_connection observer{server().url()};
    return comes_true([&] { return observer.count(count_of_session(backend_pid)) == 0; });
}

/// The server's process of that session waits for this event, in pg_stat_activity's words.
inline bool waits_for(int backend_pid, const std::string& event) {
    plain_connection observer{server().url()};
    return comes_true(
        [&] { return observer.count(count_of_session(backend_pid) + " AND wait_event = '" + event + "'") == 1; });
}

/// On a thread of its own: does `what` once the session's statement sleeps. False: it has never slept.
template <typename Action>
std::future<bool> once_asleep(int backend_pid, Action what) {
    return std::async(std::launch::async, [backend_pid, what] {
        const bool slept = waits_for(backend_pid, "PgSleep");
        what();
        return slept;
    });
}

}  // namespace trunkline::test::fixture
