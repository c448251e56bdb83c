// COPY: a file in pieces, rows of values, duplicates, what the server refuses, and out into a file.
//
//   copy postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<std::uint64_t> load(trunkline::pool& pool, std::filesystem::path from) {
    std::ifstream file{from, std::ios::binary};
    auto lease = co_await pool.acquire();
    auto copy = co_await lease->copy_in("COPY tour_visit FROM STDIN (FORMAT csv, HEADER)");
    std::vector<char> piece(64 * 1024);
    do {
        file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        const std::string_view data{piece.data(), static_cast<std::size_t>(file.gcount())};
        co_await copy.write(data);  // waits while the server is slower than the file
    } while (file);
    if (!file.eof()) {
        throw std::runtime_error{"cannot read " + from.string()};  // undoes the COPY
    }
    co_return co_await copy.finish();  // without this nothing is stored
}

struct visit {
    std::int64_t id;
    std::optional<std::string> who;
    std::chrono::sys_seconds at;
};

asio::awaitable<std::uint64_t> store(trunkline::pool& pool, const std::vector<visit>& visits) {
    auto lease = co_await pool.acquire();
    auto tx = co_await lease->begin();
    co_await tx.execute("DELETE FROM tour_visit");
    auto copy = co_await tx.copy_in("COPY tour_visit (id, who, at) FROM STDIN (FORMAT binary)");
    for (const auto& one : visits) {
        co_await copy.write_row(one.id, one.who, one.at);  // bigint, text, timestamptz
    }
    const auto stored = co_await copy.finish();
    co_await tx.commit();
    co_return stored;
}

asio::awaitable<std::uint64_t> add_new_ones(trunkline::pool& pool, std::string_view csv) {
    auto lease = co_await pool.acquire();
    auto tx = co_await lease->begin();
    co_await tx.execute("CREATE TEMPORARY TABLE tour_incoming (LIKE tour_visit) ON COMMIT DROP");
    auto copy = co_await tx.copy_in("COPY tour_incoming FROM STDIN (FORMAT csv)");
    co_await copy.write(csv);
    co_await copy.finish();
    const auto added = co_await tx.execute("INSERT INTO tour_visit SELECT * FROM tour_incoming ON CONFLICT DO NOTHING");
    co_await tx.commit();
    co_return added;
}

asio::awaitable<void> refused(trunkline::pool& pool) {
    auto lease = co_await pool.acquire();
    try {
        auto copy = co_await lease->copy_in("COPY tour_visit FROM STDIN (FORMAT csv)");
        co_await copy.write("10,Ann,2024-02-29\n11,Ben,yesterday evening\n");
        co_await copy.finish();
    } catch (const trunkline::error& failure) {
        std::cout << failure.message() << " (" << failure.detail() << ")\n";
    }
    const auto rows = co_await lease->query("SELECT count(*) FROM tour_visit WHERE id IN (10, 11)");
    std::cout << rows[0].get<int>(0) << " of them are stored\n";
}

asio::awaitable<void> save(trunkline::pool& pool, std::filesystem::path to) {
    std::ofstream file{to, std::ios::binary};
    auto lease = co_await pool.acquire();
    auto data = co_await lease->copy_out("COPY (TABLE tour_visit ORDER BY id) TO STDOUT (FORMAT csv, HEADER)");
    while (const auto piece = co_await data.next()) {
        file << *piece;
    }
    if (!file.flush()) {
        throw std::runtime_error{"cannot write " + to.string()};
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    const auto file = std::filesystem::temp_directory_path() / "tour_visit.csv";
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_visit (id bigint PRIMARY KEY, who text, at timestamptz)");
    const std::vector<visit> visits{{1, "Ann", std::chrono::sys_days{std::chrono::year{2024} / 2 / 29}},
                                    {2, std::nullopt, std::chrono::sys_days{std::chrono::year{2024} / 3 / 1}}};
    const auto stored = co_await store(pool, visits);
    std::cout << stored << " stored\n";
    co_await save(pool, file);
    co_await pool.query("TRUNCATE tour_visit");
    const auto loaded = co_await load(pool, file);
    std::cout << loaded << " loaded\n";
    const auto added = co_await add_new_ones(pool, "2,Ben,2024-03-01\n3,Cleo,2024-03-02\n");
    std::cout << added << " added\n";
    co_await refused(pool);
    co_await pool.query("DROP TABLE tour_visit");
    std::filesystem::remove(file);
    co_await pool.close(5s);
}

int main(int argc, char** argv) {
    asio::io_context context;
    auto settings = trunkline::settings_from_environment();
    settings.connect.url = argc > 1 ? argv[1] : "";
    trunkline::pool pool{context.get_executor(), settings};
    asio::co_spawn(context, tour(pool), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    context.run();
}
