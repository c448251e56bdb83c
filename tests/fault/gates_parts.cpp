#include "gates_parts.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace trunkline::test::gates {

namespace asio = boost::asio;

asio::awaitable<void> acquire(stage& on) { auto mine = co_await on.lines->acquire(); }

asio::awaitable<void> query(stage& on) {
    auto mine = co_await on.lines->acquire();
    co_await mine->query("SELECT 1");
}

asio::awaitable<void> query_what_is_held(stage& on) {
    on.reached = true;
    co_await on.held.front()->query("SELECT 1");
}

asio::awaitable<void> start(stage& on) {
    on.reached = true;
    co_await on.lines->start();
}

asio::awaitable<hook_outcome> ask(connection& c) {
    co_await c.query("SELECT 'hook'");
    co_return hook_outcome::keep;
}

bool wait_idly(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

void wait_in_queue(stage& at, const stage::part& how) {
    at.play(how);
    REQUIRE(at.drive([&] { return at.lines->stats().waiting == 1; }));
}

void wait_for_statements(stage& at, std::size_t number) {
    REQUIRE(at.drive([&] { return at.server.count().statements >= number; }));
}

void hold_handshake(stage& at) { at.server.greet_next(sends("", afterwards::serve)); }

void answer_handshake(stage& at, reply how) {
    if (how == reply::ok) {
        const auto last = at.server.sessions().size() - 1;
        at.server.push(last, handshake_bytes(at.server.session(last).key, {}));
    } else {
        answer_all(at, how);
    }
}

void answer_by_line(stage& at, reply how) {
    if (how == reply::ok) {
        at.line->heal();
    } else if (how == reply::fail) {
        at.line->end_all(proxy_end::reset);
    } else {
        at.server.end(afterwards::hang);
    }
    at.server.release_answers();
}

std::function<void(stage&, reply)> answer_with(std::string bytes) {
    return [bytes = std::move(bytes)](stage& at, reply how) {
        if (how == reply::ok) {
            at.server.push(bytes);
        } else {
            answer_all(at, how);
        }
    };
}

void answer_by_release(stage& at, reply how) {
    if (how == reply::fail) {
        at.server.end(afterwards::close);
    }
    if (how != reply::hang) {
        at.held.clear();
    }
}

}  // namespace trunkline::test::gates
