#include "allocation_trial.hpp"

#include "support/catch.hpp"

#include <boost/asio/bind_executor.hpp>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <thread>
#include <tuple>

namespace trunkline::test {

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// For the attempt that begins.
std::optional<std::uint64_t> planned_failure;
std::uint64_t planned_length = 1;
whose planned_threads{};

std::size_t open_descriptors() {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {}));
}

/// For what other threads and the server do meanwhile.
bool settles(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!holds() && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(1ms);
    }
    return holds();
}

/// A login whose verifier asks for two rounds instead of 4,096, in each of which OpenSSL allocates alike. Without Kerberos,
/// whose library crashes where it gets no memory.
const std::string& url() {
    static const std::string address = [] {
        plain_connection{fixture::server().url()}.execute(
            "CREATE ROLE spare LOGIN PASSWORD 'SCRAM-SHA-256$2:c2l4dGVlbiBieXRlcyAuLg==$"
            "Ke0nbGbXczWxrSJarOQlSAN+2iD5WPneyXhFmLPG6AQ=:pdAHEV5K6keu4l9ZI40/RqHB6a2X6jMVS9l9gUtDJBQ='");
        return "postgresql://spare:spare@127.0.0.1:" + std::to_string(fixture::server().port()) + "/" +
               std::string{postgres_server::database} + "?gssencmode=disable";
    }();
    return address;
}

/// One attempt; whether there was an allocation of that number, and whether somebody got an error.
std::pair<bool, bool> try_once(const experiment& by, std::uint64_t number) {
    trial one{settings_of_trials(by.min, by.max), by.hooks};
    by.prepare(one);
    planned_failure = number;
    planned_length = by.failures;
    planned_threads = by.threads;
    if (!by.begins_itself) {
        begin_to_fail();
    }
    try {
        by.attempt(one);
    } catch (const std::bad_alloc&) {
        // Of co_spawn's: what the pool's own handlers threw would be missed by the check.
    }
    const bool failed = allocations_work_again() > 0;
    planned_failure.reset();
    by.check(one);
    return {failed, one.refused > 0};
}

}  // namespace

trial::trial(pool_settings by, pool_hooks hooks) : max{by.size.max} {
    lines.emplace(context.get_executor(), std::move(by), std::move(hooks));
}

trial::~trial() {
    held.clear();
    lines.reset();
}

void trial::acquire(const manner& how) {
    diagnostics* story = nullptr;
    asio::cancellation_signal* stop = nullptr;
    {
        const unfailing_allocations test;
        story = &stories_.emplace_back();
        stop = &stops_.emplace_back();
    }
    auto told = [this, keep = how.keep](error_code code, lease got) {
        const unfailing_allocations test;
        ++ended;
        if (code) {
            judge(code);
        } else if (keep) {
            held.push_back(std::move(got));
        }
    };
    auto handler = asio::bind_cancellation_slot(stop->slot(), told);
    try {
        if (how.elsewhere) {
            lines->async_acquire({.timeout = how.patience}, *story, asio::bind_executor(other, handler));
        } else {
            lines->async_acquire({.timeout = how.patience}, *story, handler);
        }
        ++begun;
    } catch (const std::bad_alloc&) {
        ++refused;
    }
}

void trial::acquire_by_coroutine(const manner& how) {
    auto body = [this, how]() -> asio::awaitable<void> {
        auto got = co_await lines->acquire({.timeout = how.patience});
        if (how.sql != nullptr) {
            (void)co_await got->query(how.sql);
        }
        const unfailing_allocations test;
        if (how.keep) {
            held.push_back(std::move(got));
        }
    };
    spawn(how.elsewhere ? other : context.get_executor(), body);
}

bool trial::drive(const std::function<bool()>& holds, milliseconds within) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        context.restart();
        context.run_one_for(5ms);
    }
    return true;
}

void trial::open(std::size_t number) {
    const auto before = held.size();
    for (std::size_t i = 0; i < number; ++i) {
        lines->async_acquire({.timeout = 10s}, [this](error_code code, lease got) {
            if (!code) {
                held.push_back(std::move(got));
            }
        });
    }
    REQUIRE(drive([&] { return held.size() == before + number; }));
}

void trial::check() {
    CHECK(drive([&] { return ended == begun; }));
    CHECK(strange == std::vector<std::string>{});
    check_room();
    CHECK(ended == begun);  // each once
}

void trial::check_room() {
    CHECK(drive([&] { return lines->stats().waiting == 0; }));
    held.clear();
    open(max);
    const auto now = lines->stats();
    CHECK(now.leased == max);
    CHECK(now.total == max);
    CHECK(now.connecting + now.idle + now.resetting + now.closing == 0);
    std::size_t answered = 0;
    const auto ask = [&answered](connection& c) -> asio::awaitable<void> {
        (void)co_await c.query(query_options{.timeout = 10s}, "SELECT 1");
        ++answered;
    };
    for (auto& one : held) {
        asio::co_spawn(context, ask(*one), asio::detached);
    }
    CHECK(drive([&] { return answered == max; }));
    CHECK(settles([&] { return sessions_of_trials() == max; }));
    held.clear();
    close();
}

void trial::close() {
    bool closed = false;
    asio::co_spawn(context, lines->close(0ms), [&closed](std::exception_ptr) { closed = true; });
    CHECK(drive([&] { return closed; }));
    CHECK(lines->stats().total == 0);
}

void trial::judge(const std::exception_ptr& failed) {
    const unfailing_allocations test;
    ++ended;
    try {
        if (failed) {
            std::rethrow_exception(failed);
        }
    } catch (const std::bad_alloc&) {
        ++refused;
    } catch (const error& why) {
        judge(why.code());
    } catch (const std::exception& unknown) {
        strange.emplace_back(unknown.what());
    }
}

void trial::judge(const error_code& code) {
    ++refused;
    const bool typed = code.category() == make_error_code(pool_errc::closed).category() ||
                       code.category() == sqlstate_category() || code == boost::system::errc::not_enough_memory;
    if (!typed) {
        strange.push_back(code.category().name() + (": " + code.message()));
    }
}

void exhaust(const char* what, const experiment& by) {
    if (!fails_allocations()) {
        WARN("SKIPPED: the thread sanitizer's own new cannot be made to fail");
        return;
    }
    (void)url();
    std::optional<std::size_t> before;
    constexpr std::uint64_t most = 1'000;
    std::uint64_t number = 0;
    std::size_t errors = 0;
    for (bool failed = true; failed && number < most; number += by.failures) {
        INFO(what << ": allocation " << number << " fails");
        bool refused = false;
        std::tie(failed, refused) = try_once(by, number);
        errors += refused ? 1 : 0;
        if (!before) {
            before = open_descriptors();
        }
        CHECK(settles([&] { return open_descriptors() <= *before; }));  // a helper thread may be at its end
        CHECK(settles([] { return sessions_of_trials() == 0; }));
    }
    CHECK((number > by.failures || (by.of_libpq && !counts_allocations())));  // something did fail
    CHECK(number < most);
    std::cout << what << ": " << number - by.failures << " allocations failed, " << errors << " times with an error\n";
}

void begin_to_fail() {
    if (planned_failure) {
        fail_allocations(*std::exchange(planned_failure, std::nullopt), planned_length, planned_threads);
    }
}

pool_settings settings_of_trials(std::size_t min, std::size_t max) {
    pool_settings by;
    by.name = by.connect.application_name = "no_memory";
    by.size = {.min = min, .max = max};
    by.connect.url = url();
    by.connect.backoff_initial = 5ms;
    by.connect.backoff_max = 20ms;
    by.connect.timeout = 2s;
    by.connect.anticipation = 0ms;
    // libpq forgets a Sync that it has no memory for, and then a time-out alone ends the statement.
    by.query.timeout = 300ms;
    by.query.cancel_timeout = 100ms;
    by.recovery.breaker_failures = 1'000'000;
    by.recovery.fail_fast_after.reset();
    return by;
}

std::size_t sessions_of_trials() {
    static plain_connection observer{fixture::server().url()};
    return sessions_of(observer, "no_memory");
}

}  // namespace trunkline::test
