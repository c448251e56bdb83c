#include "gates_stage.hpp"

#include "fault_fixture.hpp"
#include "support/catch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <thread>
#include <utility>

namespace trunkline::test::gates {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

const char* text_of(reply how) {
    switch (how) {
    case reply::ok: return "it answers";
    case reply::fail: return "it ends its connections";
    case reply::hang: return "it says nothing more";
    }
    return "";
}

const char* text_of(ending how) {
    switch (how) {
    case ending::none: return "goes on";
    case ending::cancelled: return "is cancelled";
    case ending::pool_destroyed: return "loses its pool";
    case ending::context_destroyed: return "loses the pool's io_context";
    case ending::callers_destroyed: return "loses its own io_context";
    }
    return "";
}

std::string url_of(std::uint16_t port) {
    return "postgresql://somebody@127.0.0.1:" + std::to_string(port) + "/anything?sslmode=disable&gssencmode=disable";
}

pool_settings settings_for(std::uint16_t port, std::chrono::milliseconds patience) {
    pool_settings settings;
    settings.name = "gates";
    settings.size = {.min = 0, .max = 1};
    settings.connect.url = url_of(port);
    settings.connect.timeout = 150ms;
    settings.connect.backoff_initial = 5ms;
    settings.connect.backoff_max = 20ms;
    settings.connect.anticipation = 0ms;
    settings.recovery.fail_fast_after.reset();
    settings.acquire.timeout = patience;
    settings.validation.timeout = 100ms;
    settings.query.timeout = patience;
    settings.query.server_timeout = false;
    settings.query.cancel_timeout = 100ms;
    settings.lifetime.rollback_timeout = 100ms;
    settings.reset.mode = reset_mode::off;
    settings.hooks = {.on_connect_timeout = 100ms,
                      .before_acquire_timeout = 100ms,
                      .after_release_timeout = 100ms,
                      .before_close_timeout = 100ms};
    return settings;
}

/// Counts the frame that it lies in.
class canary {
public:
    explicit canary(std::size_t& alive) noexcept : alive_{&alive} { ++alive; }
    canary(const canary&) = delete;
    canary& operator=(const canary&) = delete;
    ~canary() { --*alive_; }

private:
    std::size_t* alive_;
};

/// How it ends is another test's matter, but for cancellations; that it ends is this one's.
asio::awaitable<void> perform(stage& on, const stage::part& what, std::size_t& frames, std::size_t& cancelled) {
    const canary counted{frames};
    try {
        co_await what(on);
    } catch (const boost::system::system_error& why) {
        cancelled += why.code() == asio::error::operation_aborted ? 1U : 0U;
    }
}

}  // namespace

std::string variant::text() const {
    return std::string{where == callers::away ? "away from home" : "at home"} + ", it " + text_of(end) +
           (which == order::ending_first ? " before" : " after") + " the server's part: " + text_of(server);
}

/// What a coroutine needs and must not lose: Asio destroys the function after the coroutine.
struct stage::actor {
    part what;
    bool cancellable;
    stage* on;
    std::size_t ignored = 0;
    asio::awaitable<void> operator()() {
        return perform(*on, what, on->frames_, cancellable ? on->cancelled_ : ignored);
    }
};

stage::stage(const gate& at, const variant& how) {
    if (how.where == callers::away) {
        away.emplace(1);
    }
    if (at.by_proxy) {
        line.emplace(server.port());
    }
    // Who is to hear of a cancellation must not meet a time-out first, however slow the machine.
    const bool hears = how.end == ending::cancelled && at.cancellation == heed::always;
    auto settings = settings_for(line ? line->port() : server.port(), hears ? 20s : 300ms);
    if (at.settings) {
        at.settings(settings);
    }
    auto hooks = at.hooks;
    hooks.log = [this, alive = witness_](const log_record& what) {  // the pool and each of its sessions have a copy
        notices += what.message.starts_with("the server says") ? 1U : 0U;
    };
    lines.emplace(home->get_executor(), settings, std::move(hooks));
}

stage::~stage() {
    held.clear();
    lines.reset();
    away.reset();
    home.reset();
}

void stage::play(part what) { spawn(std::move(what), true); }

void stage::play_aside(part what) { spawn(std::move(what), false); }

void stage::spawn(part what, bool cancellable) {
    ++begun_;
    auto done = [this, once = false](std::exception_ptr thrown) mutable {
        twice_ = twice_ || std::exchange(once, true);
        ++completed_;
        CHECK_FALSE(thrown);
    };
    actor body{std::move(what), cancellable, this};
    if (cancellable) {
        stops_.push_back(std::make_unique<asio::cancellation_signal>());
        asio::co_spawn(callers_context(), std::move(body),
                       asio::bind_cancellation_slot(stops_.back()->slot(), std::move(done)));
    } else {
        asio::co_spawn(callers_context(), std::move(body), std::move(done));
    }
}

bool stage::drive(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::size_t done = 0;
        if (away) {
            away->restart();
            done += away->poll();
        }
        if (home) {
            home->restart();
            done += home->poll();
            if (done == 0) {
                home->run_one_for(1ms);
            }
        } else {
            std::this_thread::yield();
        }
    }
    return true;
}

namespace {

bool drive_one(asio::io_context& context, const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        context.restart();
        context.run_one_for(1ms);
    }
    return true;
}

}  // namespace

bool stage::drive_callers(const std::function<bool()>& holds) { return drive_one(callers_context(), holds); }

bool stage::drive_home(const std::function<bool()>& holds) { return drive_one(*home, holds); }

void stage::hold_one() {
    auto free = lines->try_acquire();
    REQUIRE(free.has_value());
    held.push_back(std::move(*free));
}

void stage::warm_up() {
    play_aside([](stage& on) -> asio::awaitable<void> { auto first = co_await on.lines->acquire(); });
    REQUIRE(drive([this] { return frames_ == 0 && lines->stats().idle == 1; }));
}

void stage::cancel() {
    for (const auto& stop : stops_) {
        stop->emit(asio::cancellation_type::terminal);
    }
}

void stage::cancel_now() {
    bool emitted = false;
    cancel();  // by a post of co_spawn's
    asio::post(callers_context(), [&emitted] { emitted = true; });
    REQUIRE(drive_callers([&emitted] { return emitted; }));
}

void stage::end_by(ending how) {
    switch (how) {
    case ending::none: break;
    case ending::cancelled: cancel_now(); break;
    case ending::pool_destroyed: lines.reset(); break;
    case ending::context_destroyed: home.reset(); break;
    case ending::callers_destroyed: away.reset(); break;
    }
}

void answer_all(stage& at, reply how) {
    if (how != reply::ok) {
        at.server.end(how == reply::fail ? afterwards::close : afterwards::hang);
    }
    at.server.release_answers();
}

namespace {

bool serves_again(stage& at) {
    bool served = false;
    const auto ask = [&served](stage& on) -> asio::awaitable<void> {
        while (!served) {
            try {
                auto free = co_await on.lines->acquire();
                const auto rows = co_await free->query({.timeout = 100ms}, "SELECT 1");
                served = rows.size() == 1;
            } catch (const error&) {
                // A connection on which the server says nothing is noticed by who uses it.
            }
        }
    };
    asio::co_spawn(
        *at.home, [&] { return ask(at); }, asio::detached);
    return at.drive([&] { return served; });
}

/// The pool is as good as new, and closes.
void check_pool(stage& at, bool closes) {
    CHECK(at.drive([&] { return at.frames() == 0; }));
    at.held.clear();
    at.lines->resume();
    CHECK((closes || serves_again(at)));
    const auto now = at.lines->stats();
    CHECK(now.total == now.connecting + now.idle + now.leased + now.resetting + now.closing);
    CHECK(now.total <= now.max);
    CHECK(now.waiting == 0);
    bool closed = false;
    asio::co_spawn(*at.home, at.lines->close(0ms), [&closed](std::exception_ptr) { closed = true; });
    CHECK(at.drive([&] { return closed; }));
    CHECK(at.lines->stats().total == 0);
}

/// What is left, as the callers and the server see it.
void check_remains(stage& on, const gate& at, const variant& how) {
    if (on.home && on.lines) {
        check_pool(on, at.closes);
    } else {
        CHECK(on.drive([&] { return on.frames() == 0; }));
        on.held.clear();
    }
    CHECK(on.frames() == 0);
    CHECK_FALSE(on.twice());
    const bool all_complete = how.end != ending::context_destroyed && how.end != ending::callers_destroyed;
    CHECK((on.completed() == on.begun() || (!all_complete && on.completed() < on.begun())));
    if (how.end == ending::cancelled && at.cancellation != heed::maybe && how.which == order::ending_first) {
        CHECK(on.cancelled() == (at.cancellation == heed::always ? on.cancellable() : 0));
    }
    if (on.line) {
        on.line->heal();
    }
    CHECK(on.drive([&] { return on.server.count().open == 0; }));
}

void pass_one(const gate& at, const variant& how) {
    const auto descriptors = open_descriptors();
    std::weak_ptr<void> remains;
    {
        stage on{at, how};
        remains = on.remains();
        at.reach(on, how.server);
        const auto answer = at.answer ? at.answer : answer_all;
        if (how.which == order::reply_first) {
            answer(on, how.server);
        }
        if (how.end == ending::cancelled && how.which == order::reply_first) {
            on.cancel();  // whichever comes first
        } else {
            on.end_by(how.end);
        }
        if (how.which == order::ending_first) {
            answer(on, how.server);
        }
        check_remains(on, at, how);
    }
    const auto end = std::chrono::steady_clock::now() + 10s;
    auto open = open_descriptors();
    while ((open > descriptors || !remains.expired()) && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();  // a canceller's thread may still hold one
        open = open_descriptors();
    }
    CHECK(open <= descriptors);
    CHECK(remains.expired());
}

bool exists(const gate& at, const variant& how) {
    if (how.end == ending::none && how.which == order::reply_first) {
        return false;  // nothing comes second: the same as the other order
    }
    return how.end != ending::callers_destroyed || (at.told && how.where == callers::away);
}

}  // namespace

void pass(const gate& at) {
    for (const auto where : {callers::at_home, callers::away}) {
        for (const auto end : {ending::none, ending::cancelled, ending::pool_destroyed, ending::context_destroyed,
                               ending::callers_destroyed}) {
            for (const auto server : {reply::ok, reply::fail, reply::hang}) {
                for (const auto which : {order::reply_first, order::ending_first}) {
                    const variant how{server, end, which, where};
                    if (exists(at, how)) {
                        INFO(at.name << ": " << how.text());
                        pass_one(at, how);
                    }
                }
            }
        }
    }
}

}  // namespace trunkline::test::gates
