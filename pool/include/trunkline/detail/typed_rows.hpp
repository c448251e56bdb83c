#pragma once

#include <trunkline/result.hpp>

#include <boost/describe/members.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/pfr/core.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace trunkline {

namespace detail {

/// The rows of a result as tuples.
template <typename... Ts>
class typed_rows {
public:
    explicit typed_rows(const result& from) : from_{&from} { from.require_columns(sizeof...(Ts)); }

    [[nodiscard]] std::size_t size() const noexcept { return from_->size(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::tuple<Ts...> operator[](std::size_t i) const { return tuple_at(*from_, i); }

private:
    static std::tuple<Ts...> tuple_at(const result& from, std::size_t i) {
        return values(from[i], std::index_sequence_for<Ts...>{});
    }

public:
    using iterator = index_iterator<result, std::tuple<Ts...>, &tuple_at>;
    [[nodiscard]] iterator begin() const noexcept { return {from_, 0}; }
    [[nodiscard]] iterator end() const noexcept { return {from_, size()}; }

private:
    template <std::size_t... I>
    static std::tuple<Ts...> values(const row& of, std::index_sequence<I...>) {
        return std::tuple<Ts...>{of.get<Ts>(I)...};
    }

    const result* from_;
};

template <typename Struct>
inline constexpr bool is_described = boost::describe::has_describe_members<Struct>::value;

template <typename T>
inline constexpr bool is_view = false;
template <>
inline constexpr bool is_view<std::string_view> = true;
template <>
inline constexpr bool is_view<std::span<const std::byte>> = true;
template <typename T>
inline constexpr bool is_view<std::optional<T>> = is_view<T>;
template <typename T>
inline constexpr bool is_view<std::vector<T>> = is_view<T>;

template <typename Struct>
using members_of =
    boost::describe::describe_members<Struct, boost::describe::mod_public | boost::describe::mod_inherited>;

template <typename Struct, std::size_t... I>
constexpr bool has_view_at(std::index_sequence<I...>) {
    return (is_view<boost::pfr::tuple_element_t<I, Struct>> || ...);
}

/// Whether a member points into the result.
template <typename Struct>
constexpr bool has_views() {
    if constexpr (is_described<Struct>) {
        bool any = false;
        boost::mp11::mp_for_each<members_of<Struct>>([&](auto member) {
            any = any || is_view<std::remove_cvref_t<decltype(std::declval<Struct&>().*member.pointer)>>;
        });
        return any;
    } else {
        return has_view_at<Struct>(std::make_index_sequence<boost::pfr::tuple_size_v<Struct>>{});
    }
}

template <typename Struct>
std::vector<Struct> structs_by_name(const result& from) {
    using members = members_of<Struct>;
    std::array<std::size_t, boost::mp11::mp_size<members>::value> columns{};
    std::size_t next = 0;
    boost::mp11::mp_for_each<members>([&](auto member) { columns[next++] = from.column_number(member.name); });
    std::vector<Struct> all(from.size());
    row_reader values{from};
    for (std::size_t i = 0; i < all.size(); ++i) {
        values.go_to(i);
        next = 0;
        boost::mp11::mp_for_each<members>([&](auto member) {
            auto& value = all[i].*member.pointer;
            value = decode_value<std::remove_cvref_t<decltype(value)>>(values[columns[next++]]);
        });
    }
    return all;
}

template <typename Struct>
std::vector<Struct> structs_by_position(const result& from) {
    from.require_columns(boost::pfr::tuple_size_v<Struct>);
    std::vector<Struct> all(from.size());
    row_reader values{from};
    for (std::size_t i = 0; i < all.size(); ++i) {
        values.go_to(i);
        boost::pfr::for_each_field(all[i], [&](auto& value, std::size_t column) {
            value = decode_value<std::remove_cvref_t<decltype(value)>>(values[column]);
        });
    }
    return all;
}

}  // namespace detail

template <typename... Ts>
detail::typed_rows<Ts...> result::rows() const& {
    return detail::typed_rows<Ts...>{*this};
}

template <typename Struct>
std::vector<Struct> result::into() const& {
    static_assert(std::is_default_constructible_v<Struct>, "rows are read into default-constructed structs");
    if constexpr (detail::is_described<Struct>) {
        return detail::structs_by_name<Struct>(*this);
    } else {
        static_assert(std::is_aggregate_v<Struct>,
                      "a struct that is no aggregate must be described: BOOST_DESCRIBE_STRUCT names its members");
        return detail::structs_by_position<Struct>(*this);
    }
}

template <typename Struct>
std::vector<Struct> result::into() const&& {
    static_assert(!detail::has_views<Struct>(),
                  "this struct's members point into the result, which ends here: give the result a name first");
    return into<Struct>();
}

}  // namespace trunkline
