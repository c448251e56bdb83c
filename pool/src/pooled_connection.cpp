#include "pooled_connection.hpp"

#include "pool_impl.hpp"

#include <cassert>
#include <utility>

namespace trunkline {

connection& lease::operator*() const noexcept {
    assert(connection_ != nullptr && "this lease holds no connection");
    return *connection_;
}

connection* lease::operator->() const noexcept {
    assert(connection_ != nullptr && "this lease holds no connection");
    return connection_;
}

void lease::release() noexcept {
    if (auto* mine = std::exchange(connection_, nullptr)) {
        mine->give_back(false);
    }
}

void lease::discard() noexcept {
    if (auto* mine = std::exchange(connection_, nullptr)) {
        mine->give_back(true);
    }
}

namespace detail {

void pooled_connection::give_back(bool discard) noexcept { owner_.take_back(*this, discard); }

}  // namespace detail

}  // namespace trunkline
