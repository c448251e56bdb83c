#include "connection_fixture.hpp"
#include "support/catch.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace trunkline;
using namespace trunkline::test;
using namespace trunkline::test::fixture;
using boost::asio::awaitable;

TEST_CASE("a second operation meanwhile is refused and harms nothing") {
    boost::asio::io_context context;
    lone_connection on{open_session(context.get_executor(), server().url())};
    const auto first = [&]() -> awaitable<void> {
        const result got = co_await on.query("SELECT 1 FROM pg_sleep(0.1)");
        CHECK(got[0].get<int>(0) == 1);
        on.session().close(pool_errc::closed, [] {});
    };
    const auto second = [&]() -> awaitable<void> {
        const error refused = co_await error_of(on.query("SELECT 2"));
        CHECK(refused.code() == pool_errc::operation_in_progress);
    };
    boost::asio::co_spawn(context, first(), [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
    run(context, second);
}

TEST_CASE("many connections work on an executor with many threads") {
    boost::asio::io_context context;
    std::vector<std::unique_ptr<lone_connection>> all;
    for (int i = 0; i < 8; ++i) {
        all.push_back(std::make_unique<lone_connection>(open_session(context.get_executor(), server().url())));
    }
    std::atomic<int> done{0};
    const auto client = [&](lone_connection& on) -> awaitable<void> {
        for (int i = 0; i < 200; ++i) {
            const result got = co_await on.query("SELECT $1::int4 * 2", i);
            done += got[0].get<int>(0) == 2 * i ? 1 : 0;
        }
        on.session().close(pool_errc::closed, [] {});
    };
    for (auto& one : all) {
        boost::asio::co_spawn(context, client(*one), [](std::exception_ptr thrown) { CHECK_FALSE(thrown); });
    }
    run(
        context, []() -> awaitable<void> { co_return; }, 4);
    CHECK(done == 8 * 200);
}

TEST_CASE("a session may run on a strand, and its caller on another executor") {
    boost::asio::io_context context;
    boost::asio::io_context elsewhere;
    auto stay = boost::asio::make_work_guard(context);
    std::jthread other{[&] { context.run(); }};
    lone_connection on{open_session(boost::asio::make_strand(context), server().url())};
    const auto body = [&]() -> awaitable<void> {
        const auto here = std::this_thread::get_id();
        for (int i = 0; i < 20; ++i) {
            const result got = co_await on.query("SELECT $1::int4", i);
            CHECK(got[0].get<int>(0) == i);
            CHECK(std::this_thread::get_id() == here);
        }
        on.session().close(pool_errc::closed, [] {});
    };
    run(elsewhere, body);
    stay.reset();
}

}  // namespace
