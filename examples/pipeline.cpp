// Pipelines: many statements in one round trip, each by itself or all as one.
//
//   pipeline postgresql://user:password@localhost/database
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace asio = boost::asio;

asio::awaitable<void> count_words(trunkline::pool& pool, const std::vector<std::string>& words) {
    auto lease = co_await pool.acquire();
    trunkline::pipeline all;
    for (const auto& word : words) {
        all.add("INSERT INTO tour_word VALUES ($1, 1) ON CONFLICT (word) DO UPDATE SET count = tour_word.count + 1",
                word);
    }
    all.add("SELECT count(*) FROM tour_word");
    const auto results = co_await lease->run(all);  // one round trip
    std::cout << results.back()[0].get<int>(0) << " words\n";
}

asio::awaitable<void> move_word(trunkline::pool& pool, const std::string& from, const std::string& to) {
    auto lease = co_await pool.acquire();
    trunkline::pipeline both;
    both.add("DELETE FROM tour_word WHERE word = $1", from).add("INSERT INTO tour_word VALUES ($1, 1)", to);
    const auto outcomes = co_await lease->try_run(both, {.atomic = true});
    for (const auto& one : outcomes) {
        switch (one.how) {
        case trunkline::delivery::answered:
            std::cout << (one.code ? one.said.message : std::to_string(one.rows.rows_affected()) + " rows") << '\n';
            break;
        case trunkline::delivery::not_sent: std::cout << "not sent: it can be sent again\n"; break;
        case trunkline::delivery::unknown: std::cout << "nobody knows: look before you send it again\n"; break;
        }
    }
}

asio::awaitable<void> tour(trunkline::pool& pool) {
    co_await pool.query("CREATE TABLE IF NOT EXISTS tour_word (word text PRIMARY KEY, count int NOT NULL)");
    const std::vector<std::string> words{"to", "be", "or", "not", "to", "be"};
    co_await count_words(pool, words);
    co_await move_word(pool, "or", "and");
    co_await move_word(pool, "not", "be");  // there is one already: neither statement counts
    co_await pool.query("DROP TABLE tour_word");
    co_await pool.close(std::chrono::seconds{5});
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
