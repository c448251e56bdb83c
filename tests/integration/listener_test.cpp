#include "transaction_fixture.hpp"

#include <trunkline/listener.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <optional>
#include <utility>

// NOTIFY and who listens, against the server that there is.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

pool_settings settings_for(const std::string& application) {
    return fixture::settings(application, {.min = 0, .max = 2});
}

void notify(plain_connection& from, const std::string& channel, const std::string& payload) {
    from.execute("SELECT pg_notify('" + channel + "', '" + payload + "')");
}

asio::awaitable<void> kill(plain_connection& observer, int pid) {
    observer.execute("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    co_return;
}

/// An operation that runs beside the test, and how it ended.
template <typename Value>
class beside {
public:
    asio::awaitable<void> begin(asio::awaitable<Value> what) {
        const auto body = [](beside* self, asio::awaitable<Value> running) -> asio::awaitable<void> {
            try {
                self->gave = co_await std::move(running);
                self->how = error_code{};
            } catch (const boost::system::system_error& failed) {
                self->how = failed.code();
            }
        };
        asio::co_spawn(co_await asio::this_coro::executor, body(this, std::move(what)),
                       asio::bind_cancellation_slot(stop.slot(), asio::detached));
    }
    [[nodiscard]] auto ended() const {
        return [this] { return how.has_value(); };
    }

    asio::cancellation_signal stop;
    std::optional<error_code> how;
    Value gave;
};

}  // namespace

TEST_CASE("a connection that listens gets what is notified, in order, also while it runs statements") {
    run_on(settings_for("notified"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        for (int i = 0; i < 50; ++i) {
            notify(other, "a", std::to_string(i));
        }
        notify(other, "b", "for others");
        for (int i = 0; i < 50; ++i) {
            const auto got = co_await held->notified();
            CHECK(got.channel == "a");
            CHECK(got.payload == std::to_string(i));
            CHECK(got.backend_pid == other.backend_pid());
        }
        beside<notification> waiting;
        co_await waiting.begin(held->notified());
        const auto second = co_await outcome_of(held->notified({.timeout = 1ms}));
        CHECK(second == pool_errc::operation_in_progress);
        const auto meanwhile = co_await value_of(*held, "SELECT 'on'");
        CHECK(meanwhile == "on");
        CHECK(!waiting.how.has_value());
        co_await held->query("NOTIFY a");
        const bool came = co_await reached(waiting.ended());
        REQUIRE(came);
        CHECK(waiting.gave.payload.empty());
        CHECK(waiting.gave.backend_pid == held->backend_pid());
    });
}

TEST_CASE("a notification that comes with the end of a stream is told") {
    run_on(settings_for("notified_stream"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        for (int i = 0; i < 20; ++i) {
            beside<notification> waiting;
            co_await waiting.begin(held->notified());
            auto rows = co_await held->stream("SELECT generate_series(1, 5000)");
            notify(other, "a", std::to_string(i));
            while (co_await rows.next()) {
            }
            const bool came = co_await reached(waiting.ended());
            REQUIRE(came);
            CHECK(waiting.gave.payload == std::to_string(i));
        }
    });
}

TEST_CASE("TO-12: who waits for a notification can be cancelled and timed out, and loses none") {
    run_on(settings_for("notified_ends"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        const auto late = co_await outcome_of(held->notified({.timeout = 20ms}));
        CHECK(late == pool_errc::query_timeout);
        beside<notification> waiting;
        co_await waiting.begin(held->notified());
        co_await pause(10ms);
        waiting.stop.emit(asio::cancellation_type::terminal);
        const bool ended = co_await reached(waiting.ended());
        REQUIRE(ended);
        CHECK(*waiting.how == asio::error::operation_aborted);
        notify(other, "a", "kept");
        const auto got = co_await held->notified();
        CHECK(got.payload == "kept");
        CHECK(lines.stats().cancels == 0);
    });
}

TEST_CASE("a lease that ends ends its waiting for notifications, and the next hears nothing of them") {
    auto settings = settings_for("notified_lease");
    settings.size.max = 1;
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        notify(other, "a", "unread");
        co_await held->query("SELECT 1");
        beside<notification> waiting;
        const auto unread = co_await held->notified();
        CHECK(unread.payload == "unread");
        notify(other, "a", "unread");
        co_await held->query("SELECT 1");
        held.release();
        notify(other, "a", "late");
        held = co_await lines.acquire();
        const auto nothing = co_await outcome_of(held->notified({.timeout = 50ms}));
        CHECK(nothing == pool_errc::query_timeout);
        co_await held->query("LISTEN a");
        co_await waiting.begin(held->notified());
        co_await pause(10ms);
        held.release();
        const bool ended = co_await reached(waiting.ended());
        REQUIRE(ended);
        CHECK(*waiting.how == pool_errc::lease_released);
        CHECK(lines.stats().opened == 1);
        lease nobodys;
        const auto refused = co_await outcome_of(nobodys->notified());
        CHECK(refused == pool_errc::lease_released);
    });
}

TEST_CASE("more notifications than are kept are not lost without a word") {
    run_on(settings_for("notified_many"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        other.execute("SELECT count(pg_notify('a', i::text)) FROM generate_series(1, 2000) i");
        co_await held->query("SELECT 1");
        for (int i = 1; i <= 1'024; ++i) {
            const auto got = co_await held->notified();
            REQUIRE(got.payload == std::to_string(i));
            if (i == 1) {  // behind the gap, so it is one of those that were missed
                notify(other, "a", "late");
                co_await held->query("SELECT 1");
            }
        }
        const auto missed = co_await outcome_of(held->notified());
        CHECK(missed == pool_errc::notifications_missed);
        notify(other, "a", "again");
        const auto got = co_await held->notified();
        CHECK(got.payload == "again");
    });
}

TEST_CASE("a listener hears its channels on a connection of its own or on a lease") {
    const auto on = GENERATE(listener_connection::own, listener_connection::lease);
    run_on(settings_for("listener"), [=](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        listener ear{lines, {.on = on}};
        CHECK(ear.backend_pid() == 0);
        const auto nothing = co_await outcome_of(ear.next());
        CHECK(nothing == pool_errc::invalid_value);
        co_await ear.listen("plain");
        co_await ear.listen("With \"quotes\" and é");
        co_await ear.listen("plain");
        CHECK(ear.channels().size() == 2);
        CHECK(lines.stats().leased == (on == listener_connection::lease ? 1 : 0));
        CHECK(lines.stats().total == (on == listener_connection::lease ? 1 : 0));
        notify(other, "plain", "1");
        notify(other, "With \"quotes\" and é", "2");
        const auto first = co_await ear.next();
        CHECK((first.what.channel == "plain" && first.what.payload == "1" && !first.may_have_missed));
        const auto second = co_await ear.next();
        CHECK((second.what.channel == "With \"quotes\" and é" && second.what.payload == "2"));
        co_await ear.unlisten("plain");
        notify(other, "plain", "3");
        notify(other, "With \"quotes\" and é", "4");
        const auto third = co_await ear.next();
        CHECK(third.what.payload == "4");
        for (const auto& name : {std::string{}, std::string(64, 'x')}) {
            const auto bad = co_await outcome_of(ear.listen(name));
            CHECK(bad == pool_errc::invalid_value);
        }
        const auto pid = ear.backend_pid();
        ear.close();
        const auto closed = co_await outcome_of(ear.next());
        CHECK(closed == pool_errc::closed);
        const auto gone = [&] {
            return other.count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%LISTEN%' AND pid = " +
                               std::to_string(pid)) == 0;
        };
        const bool in_time = co_await reached(gone);
        CHECK(in_time);
    });
}

TEST_CASE("a listener whose session is killed subscribes again, and says that it may have missed something") {
    const auto on = GENERATE(listener_connection::own, listener_connection::lease);
    const bool waits = GENERATE(true, false);
    run_on(settings_for("listener_killed"), [=](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        listener ear{lines, {.on = on}};
        co_await ear.listen("a");
        co_await ear.listen("b");
        for (int i = 0; i < 3; ++i) {
            const auto old = ear.backend_pid();
            beside<listener_event> next;
            if (waits) {
                co_await next.begin(ear.next());
                co_await pause(5ms);
            }
            co_await kill(other, old);
            if (!waits) {
                co_await next.begin(ear.next());
            }
            const bool in_time = co_await reached(next.ended());
            REQUIRE(in_time);
            CHECK(!*next.how);
            CHECK(next.gave.may_have_missed);
            CHECK(ear.backend_pid() != old);
            notify(other, "b", "again");
            const auto got = co_await ear.next();
            CHECK((got.what.channel == "b" && got.what.payload == "again"));
        }
    });
}

TEST_CASE(
    "a listener that is cancelled loses nothing, and one whose pool is closed says so once its connection is gone") {
    run_on(settings_for("listener_closed"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        listener ear{lines};
        co_await ear.listen("a");
        {
            beside<listener_event> next;
            co_await next.begin(ear.next());
            co_await pause(5ms);
            next.stop.emit(asio::cancellation_type::terminal);
            const bool ended = co_await reached(next.ended());
            REQUIRE(ended);
            CHECK(*next.how == asio::error::operation_aborted);
        }
        notify(other, "a", "kept");
        const auto got = co_await ear.next();
        CHECK(got.what.payload == "kept");
        co_await lines.close(1s);
        notify(other, "a", "own");
        const auto still = co_await ear.next();
        CHECK(still.what.payload == "own");
        co_await kill(other, ear.backend_pid());
        const auto closed = co_await outcome_of(ear.next());
        CHECK(closed == pool_errc::closed);
    });
}

TEST_CASE("a listener asks a silent server for a sign of life, and takes another connection if there is none") {
    auto settings = settings_for("listener_check");
    settings.connect.url = fixture::server().url();
    run_on(settings, [](pool& lines) -> asio::awaitable<void> {
        listener ear{lines, {.check_every = 500ms}};
        co_await ear.listen("a");
        const auto pid = ear.backend_pid();
        beside<listener_event> next;
        co_await next.begin(ear.next());
        co_await pause(1'200ms);  // some signs of life
        CHECK(!next.how.has_value());
        CHECK(ear.backend_pid() == pid);
        fixture::server().pause();
        const bool given_up = co_await reached([&] { return ear.backend_pid() != pid; });
        fixture::server().resume();
        CHECK(given_up);
        const bool noticed = co_await reached(next.ended());
        REQUIRE(noticed);
        CHECK(next.gave.may_have_missed);
        CHECK(ear.backend_pid() != pid);
    });
}

TEST_CASE("a listener that is closed ends the next() that waits, and its session") {
    const auto on = GENERATE(listener_connection::own, listener_connection::lease);
    run_on(settings_for("listener_close"), [=](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        listener ear{lines, {.on = on, .check_every = 0ms}};
        co_await ear.listen("a");
        const auto pid = std::to_string(ear.backend_pid());
        beside<listener_event> next;
        co_await next.begin(ear.next());
        co_await pause(5ms);
        ear.close();
        const bool ended = co_await reached(next.ended());
        REQUIRE(ended);
        CHECK(*next.how == pool_errc::closed);
        const auto gone = [&] { return other.count("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid) == 0; };
        const bool in_time = co_await reached(gone);
        CHECK(in_time);
        const auto late = co_await outcome_of(ear.listen("a"));
        CHECK(late == pool_errc::closed);
    });
}

TEST_CASE("a listener whose connection has died without a word listens all the same") {
    run_on(settings_for("listener_dead"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        listener ear{lines};
        co_await ear.listen("a");
        co_await ear.unlisten("a");
        for (int i = 0; i < 3; ++i) {
            const auto old = ear.backend_pid();
            co_await kill(other, old);
            co_await ear.listen("b" + std::to_string(i));
            CHECK(ear.backend_pid() != old);
        }
        const auto first = co_await ear.next();
        CHECK(first.may_have_missed);  // of what was subscribed to before the last kill
        notify(other, "b0", "heard");
        const auto got = co_await ear.next();
        CHECK(got.what.payload == "heard");
    });
    const auto refused = [](listener_options options) {
        asio::io_context context;
        pool lines{context.get_executor(), settings_for("listener_options")};
        error_code why;
        try {
            const listener bad{lines, options};
        } catch (const error& failed) {
            why = failed.code();
        }
        return why;
    };
    CHECK(refused({.pause = 0ms}) == pool_errc::invalid_value);
    CHECK(refused({.check_every = -1ms}) == pool_errc::invalid_value);
}

TEST_CASE("a guard that was given up is rolled back before its connection waits for notifications") {
    run_on(settings_for("notified_settled"), [](pool& lines) -> asio::awaitable<void> {
        plain_connection other{fixture::url()};
        auto held = co_await lines.acquire();
        co_await held->query("LISTEN a");
        {
            auto given_up = co_await held->begin();
            co_await given_up.query("SELECT 1");
        }
        notify(other, "a", "heard");
        const auto got = co_await held->notified({.timeout = 10s});
        CHECK(got.payload == "heard");
    });
}
