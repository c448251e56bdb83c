#pragma once

#include <trunkline/connection.hpp>
#include <trunkline/transaction.hpp>

#include <memory>
#include <utility>

namespace trunkline {

namespace detail {
class pooled_connection;
class pool_impl;
class loose_connection;

struct close_loose {
    void operator()(loose_connection* c) const noexcept;
};
}  // namespace detail

/// A connection that has left its pool for good (`lease::detach`). Destroying it closes the session. Move-only.
class detached_connection {
public:
    /// Holds nothing.
    detached_connection() noexcept = default;

    /// The connection. There must be one: asserted.
    connection& operator*() const noexcept;
    connection* operator->() const noexcept;
    explicit operator bool() const noexcept { return connection_ != nullptr; }

private:
    friend class lease;
    std::unique_ptr<detail::loose_connection, detail::close_loose> connection_;
};

/// A borrowed connection. It goes back to the pool when the lease is destroyed, released or assigned over; one that was
/// left inside a transaction or in the middle of a statement is mended first, or closed if that takes too long.
/// Returning never blocks, throws or suspends. A lease may outlive its pool. Move-only; not thread-safe by itself.
///
/// A lease that holds nothing (released, moved from, never filled) is harmless: its statements fail with
/// `pool_errc::lease_released`, a release does nothing; both are counted (`misused_leases`).
class lease {
public:
    /// Holds nothing.
    lease() noexcept = default;
    lease(lease&& other) noexcept : connection_{std::exchange(other.connection_, nullptr)} {}
    lease& operator=(lease&& other) noexcept {
        if (this != &other) {
            give_back();
            connection_ = std::exchange(other.connection_, nullptr);
        }
        return *this;
    }
    ~lease() { give_back(); }

    /// The connection; if the lease holds none, one that refuses every statement.
    connection& operator*() const noexcept;
    connection* operator->() const noexcept;
    explicit operator bool() const noexcept { return connection_ != nullptr; }

    /// Returns the connection. Nothing happens if the lease holds none.
    void release() noexcept;
    /// Closes the connection instead of returning it. Nothing happens if the lease holds none.
    void discard() noexcept;
    /// Takes the connection out of the pool for ever; the pool may open another one in its place at once, and counts
    /// this one no more. Holds nothing if the lease holds none.
    detached_connection detach();

private:
    friend class detail::pooled_connection;
    friend class detail::pool_impl;
    explicit lease(detail::pooled_connection* borrowed) noexcept : connection_{borrowed} {}
    void give_back() noexcept;

    detail::pooled_connection* connection_ = nullptr;
};

namespace detail {

/// The body's transaction on a lease of its own.
template <typename Body>
boost::asio::awaitable<transaction_result<Body>> transact_on(boost::asio::awaitable<lease> acquiring, Body body,
                                                             transaction_options options, retry_options retry) {
    const lease borrowed = co_await std::move(acquiring);
    co_return co_await transact<Body&>(*borrowed, body, options, retry);
}

}  // namespace detail

}  // namespace trunkline
