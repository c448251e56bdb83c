#include "../integration/transaction_fixture.hpp"
#include "campaign.hpp"
#include "fault_fixture.hpp"
#include "support/catch.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <malloc.h>
#include <string>
#include <string_view>

// Results that would not fit in memory, and what the process needs while they pass.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;
using std::chrono::steady_clock;

namespace {

constexpr double most_mib = 16;
constexpr std::int64_t long_each = 100;  // every hundredth row is a long one

std::size_t length_of(std::int64_t number) {
    const auto more = static_cast<std::size_t>(number % 97);
    return (number % long_each == 0 ? 100'000 : 1'000) + more;
}

/// So many rows of a kilobyte, and some of a hundred, are that many bytes.
std::int64_t rows_of(std::int64_t bytes) { return bytes / 2'038; }

std::string statement(std::int64_t rows) {
    return "SELECT i, repeat('x', CASE WHEN i % 100 = 0 THEN 100000 ELSE 1000 END + (i % 97)::int) "
           "FROM (SELECT generate_series(1::bigint, " +
           std::to_string(rows) + ") AS i) AS numbers";
}

/// What has passed, and what the process had resident at most, above what it has idle.
class gauge {
public:
    void calibrate() {
        malloc_trim(0);  // what others have freed is no room to hide in
        idle_ = campaign::resident_mib();
    }
    void on_row(std::int64_t number, std::size_t length) {
        ++rows_;
        bytes_ += length;
        wrong_ += number != rows_ || length != length_of(number) ? 1 : 0;
        if (rows_ % long_each == 0) {  // while a long row is held
            look();
        }
    }
    void look() { most_ = std::max(most_, above_idle()); }

    [[nodiscard]] double above_idle() const { return campaign::resident_mib() - idle_; }
    [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }

    void judge(const char* what, std::int64_t rows, steady_clock::duration took) const {
        const std::chrono::duration<double> seconds = took;
        const auto mib = static_cast<double>(bytes_) / (1024.0 * 1024.0);
        WARN(what << ": " << rows_ << " rows, " << mib << " MiB, " << mib / seconds.count()
                  << " MiB/s; resident at most " << most_ << " MiB above the " << idle_ << " of the idle process");
        CHECK(rows_ == rows);
        CHECK(wrong_ == 0);
        if (campaign::sanitized) {
            WARN("a sanitizer keeps what is freed for a while: the bound on memory is not held against this build");
        } else {
            CHECK(most_ <= most_mib);
        }
    }

private:
    double idle_ = 0;
    double most_ = 0;
    std::int64_t rows_ = 0;
    std::int64_t wrong_ = 0;
    std::uint64_t bytes_ = 0;
};

/// Number and text of a row as COPY writes it.
void note_line(gauge& seen, std::string_view line) {
    std::int64_t number = 0;
    const auto read = std::from_chars(line.data(), line.data() + line.size(), number);
    const auto before = static_cast<std::size_t>(read.ptr - line.data()) + 1;
    const bool whole = line.size() > before && line[before - 1] == '\t' && line.back() == '\n';
    seen.on_row(number, whole ? line.size() - before - 1 : 0);
}

asio::awaitable<void> read_rows(connection& on, std::int64_t count, gauge& seen) {
    auto rows = co_await on.stream(statement(count));
    while (const auto one = co_await rows.next()) {
        seen.on_row(one->get<std::int64_t>(0), one->get<std::string_view>(1).size());
    }
}

asio::awaitable<void> read_copy(connection& on, std::int64_t count, gauge& seen) {
    auto data = co_await on.copy_out("COPY (" + statement(count) + ") TO STDOUT");
    while (const auto line = co_await data.next()) {
        note_line(seen, *line);
    }
}

/// Stops reading half-way, for as long as the server needs to stand still, and a while longer.
asio::awaitable<void> read_with_a_rest(connection& on, std::int64_t count, gauge& seen) {
    plain_connection observer{fixture::server().url()};
    const auto server_waits = [&] {
        return observer.count("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND pid = " +
                              std::to_string(on.backend_pid())) == 1;
    };
    auto rows = co_await on.stream(statement(count));
    while (const auto one = co_await rows.next()) {
        seen.on_row(one->get<std::int64_t>(0), one->get<std::string_view>(1).size());
        if (seen.rows() != count / 2) {
            continue;
        }
        const auto before = seen.above_idle();
        const bool waits = co_await reached(server_waits);
        CHECK(waits);
        for (auto looks = campaign::scaled(100, 10); looks > 0; --looks) {
            co_await pause(20ms);
            seen.look();
        }
        const auto grown = seen.above_idle() - before;
        WARN("nobody read for " << campaign::scaled(100, 10) * 20 << " ms: " << grown << " MiB more resident");
        CHECK(server_waits());
        CHECK((campaign::sanitized || grown <= 1));
    }
}

using reader = asio::awaitable<void> (*)(connection&, std::int64_t count, gauge&);

void pass(const char* what, reader read) {
    const auto rows = rows_of(campaign::scaled(std::int64_t{1} << 30, std::int64_t{64} << 20));
    run_on(settings_on(fixture::server(), "streamed", {.min = 0, .max = 1}), [=](pool& lines) -> asio::awaitable<void> {
        auto held = co_await lines.acquire();
        co_await held->query("SELECT 1");
        gauge seen;
        seen.calibrate();
        const auto begin = steady_clock::now();
        co_await read(*held, rows, seen);
        seen.judge(what, rows, steady_clock::now() - begin);
        const auto then = co_await value_of(*held, "SELECT 'on'");
        CHECK(then == "on");
        CHECK(lines.stats().opened == 1);
    });
}

}  // namespace

TEST_CASE("a stream of a gigabyte passes in 16 MiB of memory") { pass("a stream", read_rows); }

TEST_CASE("a COPY of a gigabyte to the program passes in 16 MiB of memory") { pass("COPY", read_copy); }

TEST_CASE("nothing piles up while the reader of a stream of a gigabyte rests") {
    pass("a stream with a rest", read_with_a_rest);
}
