#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace trunkline::test {

/// Owns a file descriptor.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) noexcept : number_{number} {}
    descriptor(descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() { close(); }

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] bool open() const noexcept { return number_ >= 0; }
    void close() noexcept;

private:
    int number_ = -1;
};

/// A free TCP port of an IPv4 address that stays this object's while nobody listens on it. It belongs to the network
/// namespace in which it was made. Errors: `std::system_error`.
class tcp_port {
public:
    /// Takes a free port and listens on it.
    explicit tcp_port(std::string address);

    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    /// The listening socket, which does not block; -1 while nobody listens.
    [[nodiscard]] int listener() const noexcept { return listener_.get(); }
    /// Connects from now on; nothing happens if they do already.
    void listen();
    /// Connects are refused from now on.
    void refuse() noexcept { listener_.close(); }

private:
    std::string address_;
    descriptor reserved_;  // bound, never listening: nobody else is given the port
    descriptor listener_;
    std::uint16_t number_ = 0;
};

}  // namespace trunkline::test
