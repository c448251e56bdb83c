#include "pool_loop.hpp"

#include "all_done.hpp"
#include "pool_run.hpp"

#include <stdexcept>

namespace trunkline::bench {

namespace asio = boost::asio;

namespace {

asio::awaitable<void> client(pool& connections, closed_loop& loop, all_done& done) {
    const all_done::member one{done};
    for (bool go_on = true; go_on;) {
        const auto asked = bench_clock::now();
        auto lease = co_await connections.acquire();
        if (loop.over()) {
            break;
        }
        const auto served = bench_clock::now();
        const auto rows = co_await lease->query(item_query, loop.next_item());
        if (rows[0].get<std::string_view>(0).size() != item_bytes) {
            throw std::runtime_error{"the server sent another item than was asked for"};
        }
        lease.release();
        go_on = loop.on_done(asked, served, bench_clock::now());
    }
}

}  // namespace

query_figures run_pool_loop(const std::string& url, cell of, round_time time) {
    closed_loop loop{time};
    pool_run run{url, of.connections};
    const auto measure = [&](pool_run& with) -> asio::awaitable<void> {
        all_done done{co_await asio::this_coro::executor};
        for (std::size_t i = 0; i < of.clients; ++i) {
            with.spawn(client(with.connections(), loop, done));
        }
        loop.begin();
        co_await done.wait();
    };
    run.run(measure);
    return loop.figures();
}

}  // namespace trunkline::bench
