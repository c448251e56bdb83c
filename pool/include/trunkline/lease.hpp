#pragma once

#include <trunkline/connection.hpp>

#include <utility>

namespace trunkline {

namespace detail {
class pooled_connection;
}

/// A borrowed connection. It goes back to the pool when the lease is destroyed, released or assigned over; one that was
/// left inside a transaction is rolled back first, one that was left in any other state is closed. Returning never
/// blocks, throws or suspends. A lease may outlive its pool. Move-only; not thread-safe by itself.
class lease {
public:
    /// Holds nothing.
    lease() noexcept = default;
    lease(lease&& other) noexcept : connection_{std::exchange(other.connection_, nullptr)} {}
    lease& operator=(lease&& other) noexcept {
        if (this != &other) {
            release();
            connection_ = std::exchange(other.connection_, nullptr);
        }
        return *this;
    }
    ~lease() { release(); }

    /// The connection. The lease must hold one: asserted.
    connection& operator*() const noexcept;
    connection* operator->() const noexcept;
    explicit operator bool() const noexcept { return connection_ != nullptr; }

    /// Returns the connection. Nothing happens if the lease holds none.
    void release() noexcept;
    /// Closes the connection instead of returning it. Nothing happens if the lease holds none.
    void discard() noexcept;

private:
    friend class detail::pooled_connection;
    explicit lease(detail::pooled_connection* borrowed) noexcept : connection_{borrowed} {}

    detail::pooled_connection* connection_ = nullptr;
};

}  // namespace trunkline
