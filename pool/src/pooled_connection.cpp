#include "pooled_connection.hpp"

#include "pool_impl.hpp"

#include <trunkline/stats.hpp>

#include <atomic>
#include <cassert>
#include <utility>

namespace trunkline {

namespace {

constinit std::atomic<std::uint64_t> used_empty{0};
constinit std::atomic<std::uint64_t> released_empty{0};

/// What a lease without a connection points to: its statements fail, and nothing else happens.
connection& nobody() noexcept {
    static detail::loose_connection none;
    used_empty.fetch_add(1, std::memory_order_relaxed);
    return none;
}

}  // namespace

lease_misuse misused_leases() noexcept {
    return {used_empty.load(std::memory_order_relaxed), released_empty.load(std::memory_order_relaxed)};
}

connection& lease::operator*() const noexcept { return connection_ != nullptr ? *connection_ : nobody(); }

connection* lease::operator->() const noexcept { return &**this; }

void lease::give_back() noexcept {
    if (auto* mine = std::exchange(connection_, nullptr)) {
        mine->forget_transactions();
        mine->owner().take_back(*mine, false);
    }
}

void lease::release() noexcept {
    if (connection_ == nullptr) {
        released_empty.fetch_add(1, std::memory_order_relaxed);
    }
    give_back();
}

void lease::discard() noexcept {
    if (auto* mine = std::exchange(connection_, nullptr)) {
        mine->forget_transactions();
        mine->owner().take_back(*mine, true);
    } else {
        released_empty.fetch_add(1, std::memory_order_relaxed);
    }
}

detached_connection lease::detach() {
    detached_connection gone;
    if (connection_ != nullptr) {
        gone.connection_.reset(new detail::loose_connection{connection_->shared_session(), *connection_});
        auto* const mine = std::exchange(connection_, nullptr);
        mine->owner().let_go(*mine);
    }
    return gone;
}

connection& detached_connection::operator*() const noexcept {
    assert(connection_ != nullptr && "there is no connection here");
    return *connection_;
}

connection* detached_connection::operator->() const noexcept { return &**this; }

void detail::close_loose::operator()(loose_connection* c) const noexcept { delete c; }

}  // namespace trunkline
