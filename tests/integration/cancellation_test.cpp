#include "pool_fixture.hpp"
#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/sanitizer.hpp"
#include "waiting.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Operations that are cancelled at any moment: each ends, and none of them twice.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

constexpr std::size_t connections = 8;
constexpr std::size_t threads = 4;

/// So many clients, and so many operations of each. A server takes some tens of cancel requests a second: each is a
/// connection and a process of its own.
struct amount {
    std::size_t clients;
    std::size_t of_each;
};
#ifdef TRUNKLINE_TEST_SANITIZED
constexpr amount acquires{.clients = 32, .of_each = 40};
constexpr amount queries{.clients = connections, .of_each = 20};
#else
constexpr amount acquires{.clients = 32, .of_each = 200};
constexpr amount queries{.clients = connections, .of_each = 40};
#endif

using strand = asio::strand<asio::io_context::executor_type>;

/// How often each operation has ended, and how.
struct endings {
    explicit endings(amount begun) : of{begun}, times(begun.clients * begun.of_each), active{begun.clients} {}

    const amount of;
    std::vector<std::atomic<int>> times;
    std::atomic<std::size_t> active;
    std::atomic<std::size_t> cancelled{0};
    std::atomic<std::size_t> successful{0};
    std::atomic<std::size_t> otherwise{0};
    std::atomic<std::size_t> told_and_lent{0};

    void add(std::size_t which, const error_code& code) {
        ++times[which];
        ++(code == asio::error::operation_aborted ? cancelled : !code ? successful : otherwise);
    }
    [[nodiscard]] std::size_t exactly_once() const {
        return static_cast<std::size_t>(
            std::count_if(times.begin(), times.end(), [](const auto& n) { return n.load() == 1; }));
    }
};

/// What a client does again and again, on a strand of its own.
class canceller {
public:
    canceller(pool& from, asio::io_context& on, std::size_t number, endings& into)
        : from_{from},
          home_{on.get_executor()},
          timer_{home_},
          dice_{static_cast<std::uint32_t>(number + 1)},
          seen_{into},
          first_{number * into.of.of_each},
          end_{first_ + into.of.of_each} {}

    [[nodiscard]] const strand& home() const noexcept { return home_; }

    asio::awaitable<void> cancel_acquires() {
        for (std::size_t i = first_; i < end_; ++i) {
            asio::cancellation_signal stop;
            bool ended = false;
            lease held;
            auto told = [&, i](const error_code& code, lease lent) {
                seen_.add(i, code);
                seen_.told_and_lent += code && lent ? 1 : 0;
                held = std::move(lent);
                ended = true;
            };
            from_.async_acquire(asio::bind_executor(home_, asio::bind_cancellation_slot(stop.slot(), told)));
            co_await some_time(1'000);
            stop.emit(asio::cancellation_type::total);
            stop.emit(asio::cancellation_type::total);  // once more does no harm
            while (!ended) {
                co_await some_time(100);
            }
            co_await some_time(200);
        }
        --seen_.active;
    }

    /// Each on a lease of its own, on which the next statement shows what has become of the connection.
    asio::awaitable<void> cancel_queries(std::atomic<std::size_t>& kept, std::atomic<std::size_t>& closed) {
        for (std::size_t i = first_; i < end_; ++i) {
            auto mine = co_await from_.acquire();
            const auto backend = mine->backend_pid();
            asio::cancellation_signal stop;
            bool ended = false;
            auto told = [&](const std::exception_ptr&) { ended = true; };
            asio::co_spawn(home_, doomed(mine, i), asio::bind_cancellation_slot(stop.slot(), told));
            co_await some_time(3'000);
            stop.emit(asio::cancellation_type::terminal);
            stop.emit(asio::cancellation_type::terminal);
            while (!ended) {
                co_await some_time(100);
            }
            bool usable = false;
            try {
                const auto rows = co_await mine->query("SELECT pg_backend_pid()");
                usable = rows[0].get<std::int32_t>(0) == backend;
            } catch (const error&) {
                // It was closed.
            }
            ++(usable ? kept : closed);
        }
        --seen_.active;
    }

private:
    asio::awaitable<void> doomed(lease& on, std::size_t which) {
        error_code code;
        try {
            co_await on->query(statement(which));
        } catch (const error& failed) {
            code = failed.code();
        }
        seen_.add(which, code);
    }

    /// Half of them end about when they are cancelled; one of each client's goes on for two seconds though it is.
    std::string statement(std::size_t which) {
        if (which == end_ - 5) {
            return "DO $$ DECLARE enough timestamptz := clock_timestamp() + interval '2 s'; BEGIN "
                   "WHILE clock_timestamp() < enough LOOP BEGIN PERFORM pg_sleep(2); "
                   "EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$";
        }
        return which % 2 == 0 ? "SELECT pg_sleep(0.00" + std::to_string(dice_() % 3) + ")" : "SELECT pg_sleep(60)";
    }

    asio::awaitable<void> some_time(unsigned most_microseconds) {
        timer_.expires_after(std::chrono::microseconds{dice_() % most_microseconds});
        co_await timer_.async_wait(asio::use_awaitable);
    }

    pool& from_;
    strand home_;
    asio::steady_timer timer_;
    std::mt19937 dice_;
    endings& seen_;
    const std::size_t first_;  // its operations' numbers
    const std::size_t end_;
};

pool_settings settings_of(const std::string& application) {
    auto settings = fixture::settings(application, {.min = connections, .max = connections});
    settings.acquire.timeout = 300s;
    return settings;
}

/// Starts the pool, lets every client do it, and waits until the pool and the server agree again: a connection that was
/// given up may have left a statement behind, which the server ends by itself.
template <typename Deed>
void crowd(asio::io_context& context, pool& of, endings& seen, Deed deed) {
    std::vector<std::unique_ptr<canceller>> all;
    const auto everything = [&]() -> asio::awaitable<void> {
        co_await of.start();
        for (std::size_t i = 0; i < seen.of.clients; ++i) {
            all.push_back(std::make_unique<canceller>(of, context, i, seen));
        }
        for (auto& one : all) {
            asio::co_spawn(one->home(), deed(*one), asio::detached);
        }
        const auto done = [&] { return seen.active == 0; };
        const bool all_done = co_await reached(done, 100s);
        CHECK(all_done);
        plain_connection observer{fixture::url()};
        const auto at_rest = [&] {
            return of.stats().idle == connections && sessions_of(observer, of.settings().name) == connections;
        };
        const bool rests = co_await reached(at_rest);
        CHECK(rests);
        co_await of.close(1s);
    };
    run(context, everything, threads);
}

}  // namespace

TEST_CASE("TO-12: acquires that are cancelled at any moment end exactly once, and who is told so has taken nothing") {
    asio::io_context context;
    pool pool{context.get_executor(), settings_of("cancelled_acquires")};
    endings seen{acquires};
    const auto deed = [](canceller& who) { return who.cancel_acquires(); };
    crowd(context, pool, seen, deed);
    const pool_counts now = pool.stats();
    WARN(seen.cancelled << " acquires were cancelled, " << seen.successful << " had a connection");
    CHECK(seen.exactly_once() == seen.times.size());
    CHECK(seen.cancelled > 0);
    CHECK(seen.successful > 0);
    CHECK(seen.otherwise == 0);
    CHECK(seen.told_and_lent == 0);
    CHECK(now.cancelled == seen.cancelled);
    CHECK(now.immediate + now.granted == seen.successful);
    CHECK(now.opened == connections);  // none of them was lost on the way
}

TEST_CASE("TO-12: queries that are cancelled at any moment end exactly once, their connection kept or counted") {
    asio::io_context context;
    auto settings = settings_of("cancelled_queries");
    settings.query.cancel_timeout = 500ms;
    pool pool{context.get_executor(), settings};
    endings seen{queries};
    std::atomic<std::size_t> kept{0};
    std::atomic<std::size_t> closed{0};
    const auto deed = [&](canceller& who) { return who.cancel_queries(kept, closed); };
    crowd(context, pool, seen, deed);
    const pool_counts now = pool.stats();
    WARN(seen.cancelled << " queries were cancelled, " << seen.successful << " ended before; " << kept
                        << " connections kept, " << closed << " closed (lost " << now.lost << ", discarded "
                        << now.discarded << ", unproven " << now.cancels_unproven << ", opened " << now.opened << ")");
    CHECK(seen.exactly_once() == seen.times.size());
    CHECK(seen.cancelled > 0);
    CHECK(seen.successful > 0);
    CHECK(seen.otherwise == 0);
    CHECK(kept + closed == seen.times.size());
    CHECK(kept > 0);
    CHECK(closed > 0);
    CHECK(now.cancels_unproven == closed);
    CHECK(now.lost + now.discarded == closed);
    CHECK(now.opened == connections + closed);
}
