#include "decoding.hpp"

#include <trunkline/parameters.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

// Arrays, as array_recv and array_send of the server have them: the number of dimensions, whether there are NULLs, the
// elements' type, each dimension's size and first index, and then the elements, each behind its length.

namespace trunkline::detail {

namespace {

constexpr std::size_t most_dimensions = 6;  // MAXDIM
constexpr std::size_t header_size = 12;
constexpr std::size_t dimension_size = 8;

/// Types whose binary format is their text.
bool is_plain_text(std::uint32_t type) noexcept {
    constexpr std::uint32_t all[] = {oid::json, oid::xml, oid::name, oid::bpchar, oid::varchar};
    return std::ranges::find(all, type) != std::end(all);
}

}  // namespace

void array_builder::set_dimension(std::size_t depth, std::size_t size) {
    if (depth == sizes_.size()) {
        sizes_.push_back(size);
    } else if (sizes_[depth] != size) {
        throw error{pool_errc::invalid_value, name() + " is an array whose rows have " + std::to_string(sizes_[depth]) +
                                                  " and " + std::to_string(size) +
                                                  " elements; PostgreSQL wants the same in each"};
    }
}

std::string array_builder::name() const { return "parameter $" + std::to_string(elements_.elements_of_); }

/// What those have in common that are not NULL; 0 if there are none.
std::uint32_t array_builder::type_of_elements() const {
    std::uint32_t common = 0;
    for (const auto& one : elements_.entries()) {
        if (one.length < 0) {
            continue;
        }
        const auto type = one.binary ? one.type : oid::text;
        if (common != 0 && type != common) {
            throw error{pool_errc::invalid_value, name() + " is an array whose elements differ in their type"};
        }
        common = type;
    }
    return common;
}

/// The text of an array that holds nothing but NULLs.
std::string array_builder::nulls(std::size_t depth) const {
    const auto inner = depth + 1 == sizes_.size() ? "NULL" : nulls(depth + 1);
    std::string text = "{";
    for (std::size_t i = 0; i < sizes_[depth]; ++i) {
        text += i == 0 ? "" : ",";
        text += inner;
    }
    return text + "}";
}

/// The elements, each behind its length.
void array_builder::append_elements(std::vector<std::byte>& to) const {
    for (std::size_t i = 0; i < elements_.size(); ++i) {
        const auto& one = elements_.entries()[i];
        const auto value = elements_.bytes().subspan(one.offset, static_cast<std::size_t>(std::max(one.length, 0)));
        if (!one.binary && std::ranges::find(value, std::byte{0}) != value.end()) {
            throw error{pool_errc::invalid_text,
                        "element " + std::to_string(i + 1) + " of " + name() + " is text that holds a NUL byte"};
        }
        const auto length = to.size();
        to.resize(length + 4);
        put_big_endian(to.data() + length, static_cast<std::uint32_t>(one.length));
        to.insert(to.end(), value.begin(), value.end());
    }
}

void array_builder::add_to(parameters& to, std::uint32_t element_type) const {
    const auto entries = elements_.entries();
    const std::size_t dimensions = entries.empty() ? 0 : sizes_.size();
    if (dimensions > most_dimensions) {
        throw error{pool_errc::invalid_value, name() + " is an array of " + std::to_string(dimensions) +
                                                  " dimensions; PostgreSQL takes " + std::to_string(most_dimensions)};
    }
    if (const auto type = type_of_elements(); type != 0 && !(type == oid::text && is_plain_text(element_type))) {
        element_type = type;
    }
    if (element_type == 0) {  // the server infers it
        if (std::ranges::any_of(entries, [](const auto& one) { return one.length >= 0; })) {
            throw error{pool_errc::invalid_value,
                        name() + " is an array whose elements do not tell their type; let them give its OID"};
        }
        to.add_text(entries.empty() ? "{}" : nulls(0));
        return;
    }
    const bool any_null = std::ranges::any_of(entries, [](const auto& one) { return one.length < 0; });
    std::vector<std::byte> bytes(header_size + dimension_size * dimensions);
    put_big_endian(bytes.data(), static_cast<std::uint32_t>(dimensions));
    put_big_endian(bytes.data() + 4, std::uint32_t{any_null ? 1U : 0U});
    put_big_endian(bytes.data() + 8, element_type);
    for (std::size_t i = 0; i < dimensions; ++i) {
        auto* const at = bytes.data() + header_size + dimension_size * i;
        put_big_endian(at, static_cast<std::uint32_t>(sizes_[i]));
        put_big_endian(at + 4, std::uint32_t{1});
    }
    append_elements(bytes);
    to.add_binary(oid::array_of(element_type), bytes);
}

array_reader::array_reader(const field& from, std::size_t dimensions) : from_{from}, rest_{from.bytes()} {
    constexpr std::uint32_t first_user_type = 16'384;  // an array of a user's type: what it holds is in its head
    if (from.type() < first_user_type && !oid::is_array(from.type())) {
        wrong_type(from, "an array");
    }
    const auto count = take();
    (void)take();  // whether there are NULLs: each element tells
    element_ = take();
    if (count > most_dimensions || (count == 0 && !rest_.empty())) {
        malformed(from);
    }
    if (count != 0 && count != dimensions) {
        fail(pool_errc::wrong_type, from,
             "has " + std::to_string(count) + " dimensions, and " + std::to_string(dimensions) + " were asked for");
    }
    sizes_.assign(dimensions, 0);
    for (std::uint32_t i = 0; i < count; ++i) {
        sizes_[i] = take();
        (void)take();  // the first index
    }
    // Each element has four bytes of length at least, so that there are never more than what has come has room for.
    std::size_t room = rest_.size() / 4;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (sizes_[i] == 0 || sizes_[i] > room) {
            malformed(from);
        }
        room /= sizes_[i];
    }
}

std::uint32_t array_reader::take() {
    if (rest_.size() < 4) {
        malformed(from_);
    }
    std::uint32_t value = 0;
    for (const std::byte b : rest_.first(4)) {
        value = (value << 8) | static_cast<std::uint32_t>(b);
    }
    rest_ = rest_.subspan(4);
    return value;
}

field array_reader::next() {
    const auto length = static_cast<std::int32_t>(take());
    if (length < 0) {
        return from_.element(element_, std::nullopt);
    }
    if (static_cast<std::size_t>(length) > rest_.size()) {
        malformed(from_);
    }
    const auto value = rest_.first(static_cast<std::size_t>(length));
    rest_ = rest_.subspan(value.size());
    return from_.element(element_, value);
}

void array_reader::end() const {
    if (!rest_.empty()) {
        malformed(from_);
    }
}

}  // namespace trunkline::detail
