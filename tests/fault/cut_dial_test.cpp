#include "bad_line.hpp"
#include "support/catch.hpp"

#include <boost/asio.hpp>

// What becomes of dials whose line is cut in the handshake.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

/// Cuts dials at every byte, or every so many, of one direction of the handshake.
void cut_dials(proxy_direction direction, proxy_end how, std::uint64_t step = 1) {
    bad_line on{"cut_dial"};
    std::uint64_t length = 0;
    std::uint64_t cuts = 0;
    std::uint64_t served = 0;
    std::uint64_t wrong = 0;
    std::size_t descriptors_before = 0;
    std::size_t descriptors_after = 0;
    run(on.context, [&]() -> asio::awaitable<void> {
        const auto whole = co_await on.handshake();
        length = direction == proxy_direction::to_server ? whole.to_server : whole.to_client;
        descriptors_before = open_descriptors();
        for (std::uint64_t at = 0; at < length;) {
            // Some dials are cut in a row, each a byte later, while one caller waits for the one after them.
            const auto accepted = on.proxy.counts().accepted;
            std::size_t in_a_row = 0;
            for (; in_a_row < 16 && at < length; ++in_a_row, at += step) {
                on.proxy.set(cut(direction, at, how), sessions_of_proxy::next);
            }
            cuts += in_a_row;
            ++served;
            auto lease = co_await on.pool.acquire();
            const auto failed = on.pool.stats().dials_failed;
            const auto seen = co_await ask(*lease, "SELECT 'whole'");
            const auto connections = on.proxy.counts().accepted - accepted;
            wrong += seen.text == "whole" && failed == cuts && connections == in_a_row + 1 ? 0U : 1U;
            lease.discard();
            const bool none_left = co_await on.empty();
            wrong += none_left ? 0U : 1U;
        }
        descriptors_after = open_descriptors();
        co_await on.pool.close(1s);
    });
    INFO("of " << length << " bytes");
    CHECK(length > 100);
    CHECK(cuts >= length / step);
    CHECK(wrong == 0);
    CHECK(descriptors_after == descriptors_before);
    CHECK(on.pool.stats().dials_failed == cuts);
    CHECK(on.pool.stats().opened == served + 1);
    CHECK(fixture::sessions("cut_dial") == 0);
}

}  // namespace

TEST_CASE("SA-5: a dial that is cut at any byte of what the server says fails once and leaves nothing behind") {
    cut_dials(proxy_direction::to_client, proxy_end::close);
}

TEST_CASE("SA-5: a dial that is cut at any byte of what the client says fails once and leaves nothing behind") {
    cut_dials(proxy_direction::to_server, proxy_end::close);
}

TEST_CASE("SA-5: a dial that is reset in its handshake fails once and leaves nothing behind") {
    cut_dials(proxy_direction::to_server, proxy_end::reset, 13);
    cut_dials(proxy_direction::to_client, proxy_end::reset, 13);
}
