// expect: called with trunkline::transaction& and returns
#include <trunkline/pool.hpp>

boost::asio::awaitable<void> form(trunkline::pool& pool) {
    co_await pool.transaction([](trunkline::transaction&) { return 1; });
}
