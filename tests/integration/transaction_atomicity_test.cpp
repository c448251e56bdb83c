#include "support/sanitizer.hpp"
#include "transaction_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Transactions that are cancelled at any moment: what the caller is told is what the database did.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

constexpr int clients = 6;
constexpr std::size_t threads = 3;
#ifdef TRUNKLINE_TEST_SANITIZED
constexpr int of_each = 15;
#else
constexpr int of_each = 40;
#endif

using strand = asio::strand<asio::io_context::executor_type>;

/// What one transaction's caller was told.
enum class told : unsigned char { nothing, committed, unknown, cancelled, otherwise };

told judge(const std::exception_ptr& why) {
    try {
        if (why) {
            std::rethrow_exception(why);
        }
        return told::committed;
    } catch (const boost::system::system_error& failure) {
        return failure.code() == pool_errc::commit_unknown        ? told::unknown
               : failure.code() == asio::error::operation_aborted ? told::cancelled
                                                                  : told::otherwise;
    }
}

/// Adds the rows 2n and 2n + 1 in one transaction, for each n of its own, and cancels that at a moment drawn at random. The
/// range follows what the machine takes, so that about half of them are done before.
asio::awaitable<void> work(pool& lines, strand home, int number, std::vector<std::atomic<told>>& seen) {
    std::minstd_rand dice{static_cast<std::uint32_t>(number + 1)};
    asio::steady_timer timer{home};
    std::uint64_t middle = 2'000;
    for (int i = 0; i < of_each; ++i) {
        const auto n = number * of_each + i;
        const auto add = [&](transaction& tx) -> asio::awaitable<void> {
            co_await tx.execute("INSERT INTO tx_atomic VALUES ($1)", 2 * n);
            co_await tx.execute("INSERT INTO tx_atomic VALUES ($1)", 2 * n + 1);
        };
        const auto once = [&]() -> asio::awaitable<void> { co_await lines.transaction(add); };
        asio::cancellation_signal stop;
        auto& of_this = seen[static_cast<std::size_t>(n)];
        asio::co_spawn(home, once(), asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr why) {
                           of_this = judge(why);
                       }));
        timer.expires_after(std::chrono::microseconds{middle / 2 + dice() % middle});
        co_await timer.async_wait(asio::use_awaitable);
        stop.emit(asio::cancellation_type::terminal);
        (void)co_await reached([&] { return of_this != told::nothing; });  // what was told is looked at in the end
        middle = std::max<std::uint64_t>(of_this == told::committed ? middle * 4 / 5 : middle * 5 / 4, 100);
    }
}

}  // namespace

TEST_CASE("a transaction that is cancelled at any moment is done or not done, and its caller is told the truth") {
    number_table table{"tx_atomic"};
    asio::io_context context;
    auto settings = fixture::settings("atomic", {.min = 3, .max = 3});
    settings.acquire.timeout = 60s;
    pool lines{context.get_executor(), settings};
    std::vector<std::atomic<told>> seen(clients * of_each);
    std::atomic<int> active{clients};
    std::atomic<int> failed{0};
    const auto all = [&]() -> asio::awaitable<void> {
        co_await lines.start();
        for (int i = 0; i < clients; ++i) {
            const auto home = asio::make_strand(context);
            asio::co_spawn(home, work(lines, home, i, seen), [&](std::exception_ptr why) {
                failed += why == nullptr ? 0 : 1;  // here, on several threads, nothing may be CHECKed
                --active;
            });
        }
        const bool done = co_await reached([&] { return active == 0; }, 100s);
        CHECK(done);
        co_await lines.close(10s);
    };
    run(context, all, threads);
    CHECK(failed == 0);

    std::vector<int> rows(static_cast<std::size_t>(clients * of_each));
    for (const auto& row : table.observer().execute("SELECT v / 2 FROM tx_atomic")) {
        ++rows[static_cast<std::size_t>(std::stoi(row[0]))];
    }
    std::vector<int> times(5);
    for (std::size_t n = 0; n < rows.size(); ++n) {
        const auto how = seen[n].load();
        ++times[static_cast<std::size_t>(how)];
        INFO(n << ": told " << static_cast<int>(how) << ", rows " << rows[n]);
        CHECK((rows[n] == 0 || rows[n] == 2));
        CHECK((how != told::committed || rows[n] == 2));
        CHECK((how != told::cancelled || rows[n] == 0));
        CHECK(how != told::otherwise);
    }
    WARN("committed " << times[1] << ", unknown " << times[2] << ", cancelled " << times[3]);
    CHECK(times[1] + times[2] + times[3] == clients * of_each);
}
