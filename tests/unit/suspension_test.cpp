#include "resumption/suspension.hpp"
#include "support/catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>

namespace {

using trunkline::detail::suspension;
namespace asio = boost::asio;

struct watched {
    suspension* sleeper = nullptr;
    bool woken = false;
    bool destroyed = false;
};

struct at_end {
    explicit at_end(bool& to) : flag{to} {}
    at_end(const at_end&) = delete;
    at_end& operator=(const at_end&) = delete;
    ~at_end() { flag = true; }
    bool& flag;
};

asio::awaitable<void> sleep_in(watched& in) {
    const at_end end{in.destroyed};
    suspension sleeper;
    co_await sleeper.until([&] { in.sleeper = &sleeper; });
    in.woken = true;
}

TEST_CASE("a posted coroutine wakes from the queue, a dispatched one inside the call") {
    asio::io_context context;
    watched posted;
    asio::co_spawn(context, sleep_in(posted), asio::detached);
    context.poll();
    REQUIRE(posted.sleeper != nullptr);
    CHECK(posted.sleeper->holds_handler());
    CHECK(posted.sleeper->executor() == context.get_executor());
    posted.sleeper->post();
    CHECK_FALSE(posted.woken);
    context.poll();
    CHECK(posted.woken);
    CHECK(posted.destroyed);

    watched dispatched;
    asio::co_spawn(context, sleep_in(dispatched), asio::detached);
    context.poll();
    bool inside = false;
    asio::post(context, [&] {
        dispatched.sleeper->dispatch();
        inside = dispatched.woken;
    });
    context.restart();
    context.poll();
    CHECK(inside);
}

TEST_CASE("a coroutine on a strand wakes there, however it is woken") {
    asio::io_context context;
    const auto strand = asio::make_strand(context);
    for (const auto wake : {&suspension::post, &suspension::dispatch}) {
        watched one;
        asio::co_spawn(strand, sleep_in(one), asio::detached);
        context.restart();
        context.poll();
        (one.sleeper->*wake)();
        CHECK_FALSE(one.woken);
        context.restart();
        context.poll();
        CHECK(one.woken);
    }
}

TEST_CASE("a dropped coroutine is destroyed through its executor, and never wakes") {
    asio::io_context context;
    watched one;
    asio::co_spawn(context, sleep_in(one), asio::detached);
    context.poll();
    one.sleeper->drop();
    CHECK_FALSE(one.destroyed);
    context.restart();
    context.poll();
    CHECK(one.destroyed);
    CHECK_FALSE(one.woken);
}

TEST_CASE("a coroutine whose wake-up is in the queue dies with its context") {
    watched one;
    {
        asio::io_context context;
        asio::co_spawn(context, sleep_in(one), asio::detached);
        context.poll();
        one.sleeper->post();
    }
    CHECK(one.destroyed);
    CHECK_FALSE(one.woken);
}

TEST_CASE("the coroutine's cancellation can be seen while it sleeps") {
    asio::io_context context;
    asio::cancellation_signal signal;
    watched with;
    watched without;
    asio::co_spawn(context, sleep_in(with), asio::bind_cancellation_slot(signal.slot(), asio::detached));
    asio::co_spawn(context, sleep_in(without), asio::detached);
    context.poll();
    CHECK(with.sleeper->slot().is_connected());
    CHECK_FALSE(without.sleeper->slot().is_connected());
    with.sleeper->post();
    without.sleeper->post();
    context.poll();
    CHECK(with.woken);
}

}  // namespace
