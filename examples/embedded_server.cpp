// A server that has an io_context already, and gives it a pool: it listens on a port, reads a line, asks PostgreSQL
// and writes the answer. One client, one coroutine; ten thousand of them share the pool's connections.
//
//   embedded_server postgresql://user:password@localhost/database 7070
//   echo 'Trunkline' | nc localhost 7070
#include <trunkline/environment.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio.hpp>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

asio::awaitable<std::string> answer(trunkline::pool& pool, const std::string& line) {
    try {
        const auto rows = co_await pool.query("SELECT length($1), upper($1)", line);
        co_return std::to_string(rows[0].get<std::int32_t>(0)) + ' ' + rows[0].get<std::string>(1) + '\n';
    } catch (const trunkline::acquire_error& refused) {  // overloaded or down: say so, and go on serving
        std::cerr << refused.what() << '\n';
    } catch (const trunkline::error& failed) {
        std::cerr << failed.what() << '\n';
    }
    co_return "try again later\n";
}

asio::awaitable<void> serve(trunkline::pool& pool, tcp::socket socket) {
    std::string input;
    try {
        for (;;) {
            const auto length =
                co_await asio::async_read_until(socket, asio::dynamic_buffer(input, 4096), '\n', asio::use_awaitable);
            const auto line = input.substr(0, length - 1);
            input.erase(0, length);
            const auto output = co_await answer(pool, line);
            co_await asio::async_write(socket, asio::buffer(output), asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) {
        // the client has gone
    }
}

asio::awaitable<void> listen(trunkline::pool& pool, tcp::acceptor& acceptor) {
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
        if (error) {
            co_return;  // closed: we are going down
        }
        asio::co_spawn(acceptor.get_executor(), serve(pool, std::move(socket)), asio::detached);
    }
}

asio::awaitable<void> run(trunkline::pool& pool, tcp::acceptor& acceptor) {
    co_await pool.start();  // throws the server's own words if the password is wrong
    std::cout << "listening on port " << acceptor.local_endpoint().port() << std::endl;
    asio::co_spawn(acceptor.get_executor(), listen(pool, acceptor), asio::detached);

    asio::signal_set stop{acceptor.get_executor(), SIGINT, SIGTERM};
    co_await stop.async_wait(asio::use_awaitable);
    acceptor.close();
    co_await pool.close(5s);  // those who hold a connection may finish
    std::cout << "closed" << std::endl;
}

std::uint16_t port_of(const std::string& text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) {
        throw std::invalid_argument{"\"" + text + "\" is no port: give a number from 0 (any free one) to 65535"};
    }
    return port;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: embedded_server DATABASE-URL PORT\n";
        return 2;
    }
    try {
        asio::io_context context;
        auto settings = trunkline::settings_from_environment();
        settings.connect.url = argv[1];
        trunkline::pool pool{context.get_executor(), settings};
        tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), port_of(argv[2])}};

        std::exception_ptr failure;
        asio::co_spawn(context, run(pool, acceptor), [&](std::exception_ptr thrown) {
            failure = thrown;
            context.stop();  // clients that are still connected are dropped
        });
        context.run();
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
