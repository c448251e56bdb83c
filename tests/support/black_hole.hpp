#pragma once

#include "support/postgres_server.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace trunkline::test {

/// A way to a server that can swallow packets: an address in a network namespace of its own, behind a veth pair, where
/// a forwarder passes connections on to the server. After `drop()` nothing comes through and nothing is acknowledged,
/// by no kernel: what a pulled cable or a crashed host look like from here.
///
/// A helper process holds it all. It vanishes with this object and with this process, however that ends. It needs the
/// rights of root over the network, or a `private_network`: see `unavailable()`.
///
/// Threads: members may be called from any thread. Errors: `std::runtime_error`.
class black_hole {
public:
    /// Why there can be none here, in words for a skipped test; empty if there can.
    static std::string unavailable();

    /// Leads to a port of 127.0.0.1: a server's, or a proxy's.
    explicit black_hole(std::uint16_t target);
    explicit black_hole(const postgres_server& server) : black_hole{server.port()} { url_ = server.url(); }
    black_hole(const black_hole&) = delete;
    black_hole& operator=(const black_hole&) = delete;
    ~black_hole();

    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    /// The interface on this side, which is there as long as the black hole.
    [[nodiscard]] const std::string& interface() const noexcept { return interface_; }
    [[nodiscard]] pid_t helper() const noexcept { return helper_; }
    /// The server's database this way; `query` is put behind it.
    [[nodiscard]] std::string url(std::string_view query = "sslmode=disable") const;

    /// Swallows every packet of both directions from now on.
    void drop();
    /// Lets packets through again. What was sent meanwhile arrives when its sender tries again.
    void restore();

private:
    std::string ask(const std::string& request);
    void end() noexcept;

    std::mutex mutex_;
    int channel_ = -1;
    pid_t helper_ = 0;
    std::string url_;
    std::string address_;
    std::string interface_;
    std::uint16_t port_ = 0;
};

}  // namespace trunkline::test
