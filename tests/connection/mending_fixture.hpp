#pragma once

#include "connection_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

/// Sessions that are mended: cancelled, timed out, returned.
namespace trunkline::test::fixture {

using boost::asio::awaitable;

/// What a session's owner gives it, and what it was told.
struct owner {
    std::shared_ptr<pg::session_policy> policy = std::make_shared<pg::session_policy>();
    int lost = 0;
    std::string last_words;

    pg::session::events events() {
        pg::session::events to;
        to.policy = policy;
        to.lost = [this](error_code, const diagnostics& said) {
            ++lost;
            last_words = said.message;
        };
        return to;
    }
};

inline awaitable<void> pause_for(std::chrono::steady_clock::duration time) {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer{executor, time};
    co_await timer.async_wait(boost::asio::use_awaitable);
}

constexpr query_options within(std::chrono::milliseconds timeout) { return query_options{.timeout = timeout}; }

/// An operation that a test starts by hand.
struct waiting_operation : pg::operation {
    waiting_operation() {
        complete = [](pg::operation& self) { static_cast<waiting_operation&>(self).ended = true; };
    }
    /// Returns when it has one.
    awaitable<void> outcome() {
        while (!ended) {
            co_await pause_for(std::chrono::milliseconds{1});
        }
    }
    bool ended = false;
};

/// Runs a statement and cancels it after `patience`; gives its outcome.
inline awaitable<error_code> run_and_cancel(connection& on, std::string sql, std::chrono::microseconds patience) {
    struct shared_state {
        boost::asio::cancellation_signal stop;
        error_code outcome;
        bool ended = false;
    };
    auto state = std::make_shared<shared_state>();
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto body = [](connection* whom, std::string text, std::shared_ptr<shared_state> to) -> awaitable<void> {
        try {
            (void)co_await whom->query(text);
        } catch (const error& failed) {
            to->outcome = failed.code();
        }
        to->ended = true;
    };
    boost::asio::co_spawn(executor, body(&on, std::move(sql), state),
                          boost::asio::bind_cancellation_slot(state->stop.slot(), [state](std::exception_ptr) {}));
    boost::asio::steady_timer timer{executor, patience};
    co_await timer.async_wait(boost::asio::use_awaitable);
    state->stop.emit(boost::asio::cancellation_type::terminal);
    while (!state->ended) {
        timer.expires_after(std::chrono::microseconds{100});
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
    co_return state->outcome;
}

/// Waits until the session is at rest, ten seconds at most.
inline awaitable<pg::session_state> settled(lone_connection& on) {
    for (int i = 0; i < 10'000 && on.session().state() == pg::session_state::busy; ++i) {
        co_await pause_for(std::chrono::milliseconds{1});
    }
    co_return on.session().state();
}

/// What the pool does when a lease ends; true if the next may have the session.
inline awaitable<bool> give_back(lone_connection& on) {
    switch (on.session().end_use()) {
    case pg::left::ready: co_return true;
    case pg::left::broken: co_return false;
    case pg::left::unclean: break;
    }
    waiting_operation what;
    on.session().mend(what);
    co_await what.outcome();
    co_return !what.code;
}

}  // namespace trunkline::test::fixture
