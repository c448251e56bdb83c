#pragma once

#include <type_traits>

namespace trunkline::detail {

// g++ 12 frees a temporary twice that stands in a co_await expression, if it is an aggregate or a closure with a
// non-trivial destructor. A name makes it an lvalue, and the fault does not occur.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool compiler_frees_temporaries_twice = true;
#else
inline constexpr bool compiler_frees_temporaries_twice = false;
#endif

/// Whether a value that was passed as `T&&` may stand in a co_await expression as it is.
template <typename T>
inline constexpr bool safe_to_await =
    !compiler_frees_temporaries_twice || std::is_lvalue_reference_v<T> ||
    std::is_trivially_destructible_v<std::remove_cvref_t<T>> || !std::is_aggregate_v<std::remove_cvref_t<T>>;

/// The same for a callable. Nothing tells a closure from another class, nor a temporary from what was moved: all that is
/// no lvalue and not trivially destructible is refused.
template <typename T>
inline constexpr bool safe_callable_to_await = !compiler_frees_temporaries_twice || std::is_lvalue_reference_v<T> ||
                                               std::is_trivially_destructible_v<std::remove_cvref_t<T>>;

}  // namespace trunkline::detail
