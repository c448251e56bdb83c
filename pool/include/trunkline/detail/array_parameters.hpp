#pragma once

#include <trunkline/parameters.hpp>

#include <boost/container/small_vector.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Arrays as parameters. `<trunkline/parameters.hpp>` includes this.
namespace trunkline {

namespace detail {

/// What an array is put together from.
class array_builder {
public:
    /// `to`: whose next parameter it becomes.
    explicit array_builder(const parameters& to) noexcept { elements_.elements_of_ = to.size() + 1; }

    /// Takes the elements, the last dimension's first.
    [[nodiscard]] parameters& elements() noexcept { return elements_; }
    /// The next dimension: outermost first; the same each time that it is given.
    void set_dimension(std::size_t depth, std::size_t size);
    /// `element_type`: 0 if only the elements tell. Throws `error`: `invalid_value` if they differ in type, or there are more
    /// than six dimensions; `invalid_text` if one is text that holds a NUL byte.
    void add_to(parameters& to, std::uint32_t element_type) const;

private:
    [[nodiscard]] std::string name() const;
    [[nodiscard]] std::uint32_t type_of_elements() const;
    [[nodiscard]] std::string nulls(std::size_t depth) const;
    void append_elements(std::vector<std::byte>& to) const;

    parameters elements_;
    boost::container::small_vector<std::size_t, 2> sizes_;
};

template <typename T>
struct array_element {
    using type = T;
    static constexpr std::size_t depth = 0;
};
template <typename T>
requires(!std::same_as<T, std::byte>) struct array_element<std::vector<T>> {
    using type = typename array_element<T>::type;
    static constexpr std::size_t depth = 1 + array_element<T>::depth;
};

template <typename T>
struct without_optional {
    using type = T;
};
template <typename T>
struct without_optional<std::optional<T>> {
    using type = T;
};

/// As far as it is known without an element.
template <typename T>
constexpr std::uint32_t element_oid() noexcept {
    using traits = parameter_traits<typename without_optional<T>::type>;
    if constexpr (requires { traits::oid; }) {
        return traits::oid;
    } else {
        return 0;
    }
}

template <typename T>
void collect_elements(array_builder& into, const T& value, std::size_t depth) {
    if constexpr (array_element<T>::depth > 0) {
        into.set_dimension(depth, value.size());
        for (auto&& inner : value) {
            collect_elements<typename T::value_type>(into, inner, depth + 1);
        }
    } else {
        into.elements().add(value);
    }
}

}  // namespace detail

/// An array, of one dimension or, as vectors of vectors of the same length, of more. `std::optional` elements may be NULL.
/// Throws `error` (`invalid_value`) if the inner vectors differ in length.
template <typename T>
requires(!std::same_as<T, std::byte> &&
         parameter<typename detail::array_element<T>::type>) struct parameter_traits<std::vector<T>> {
    static constexpr std::uint32_t oid =
        detail::oid::array_of(detail::element_oid<typename detail::array_element<T>::type>());
    static void encode(parameters& to, const std::vector<T>& value) {
        using element = typename detail::array_element<T>::type;
        static_assert(detail::array_element<typename detail::without_optional<element>::type>::depth == 0,
                      "PostgreSQL has no NULL in the place of an array's row: std::optional goes around the elements");
        detail::array_builder all{to};
        detail::collect_elements(all, value, 0);
        all.add_to(to, detail::element_oid<element>());
    }
};

}  // namespace trunkline
