#include <trunkline/pool.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>

int main() {
    boost::asio::io_context context;
    trunkline::pool_settings settings;
    settings.size.max = 7;
    trunkline::pool pool{context.get_executor(), settings};
    std::cout << "at most " << pool.settings().size.max << " connections, " << (pool.try_acquire() ? "one" : "none")
              << " lent\n";
}
