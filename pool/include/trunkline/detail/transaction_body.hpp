#pragma once

#include <trunkline/detail/coroutine_safety.hpp>

#include <boost/asio/awaitable.hpp>

#include <type_traits>

namespace trunkline {
class transaction;
}

namespace trunkline::detail {

template <typename T>
struct awaited {
    static constexpr bool is_awaitable = false;
    using type = void;
};
template <typename T>
struct awaited<boost::asio::awaitable<T>> {
    static constexpr bool is_awaitable = true;
    using type = T;
};

/// What calling a body gives; `void` if it cannot be called, which `check_body` says in words.
template <typename Body, bool = std::is_invocable_v<Body&, transaction&>>
struct called {
    using type = void;
};
template <typename Body>
struct called<Body, true> {
    using type = std::invoke_result_t<Body&, transaction&>;
};

template <typename Body>
using transaction_result = typename awaited<typename called<Body>::type>::type;

/// Refuses in words what cannot be the body of a transaction.
template <typename Body>
constexpr void check_body() noexcept {
    static_assert(awaited<typename called<Body>::type>::is_awaitable,
                  "the body of a transaction is called with trunkline::transaction& and returns a "
                  "boost::asio::awaitable: it must not consume itself, because it may be called again");
    static_assert(!std::is_reference_v<transaction_result<Body>>,
                  "the body of a transaction gives a value: what a reference points to may be gone after the COMMIT");
    static_assert(safe_callable_to_await<Body>,
                  "g++ 12 frees the captures of this temporary twice inside a co_await expression: give the lambda a "
                  "name first, and pass it by that name");
}

}  // namespace trunkline::detail
