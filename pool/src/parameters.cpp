#include <trunkline/error.hpp>
#include <trunkline/parameters.hpp>

#include <string>

namespace trunkline {

// Here and not in the header, where g++ 12 would warn falsely, in the users' code, about the vectors' moves.
parameters::parameters() noexcept = default;
parameters::parameters(const parameters&) = default;
parameters::parameters(parameters&&) noexcept = default;
parameters& parameters::operator=(const parameters&) = default;
parameters& parameters::operator=(parameters&&) noexcept = default;
parameters::~parameters() = default;

std::string_view detail::checked_text(const parameters& to, const char* text) {
    if (text == nullptr) {
        throw error{pool_errc::invalid_value,
                    to.next_name() + " is a null pointer; NULL is nullptr, or a std::optional"};
    }
    return text;
}

void parameters::add_null(std::uint32_t type) { entries_.push_back({.type = type, .binary = type != 0}); }

void parameters::add_text(std::string_view text) {
    const auto offset = bytes_.size();
    append(std::as_bytes(std::span{text.data(), text.size()}));
    bytes_.push_back(std::byte{0});  // libpq takes text up to its NUL
    entries_.push_back({0, static_cast<std::uint32_t>(offset), static_cast<std::int32_t>(text.size()), false});
}

void parameters::add_binary(std::uint32_t type, std::span<const std::byte> bytes) {
    const auto offset = bytes_.size();
    append(bytes);
    entries_.push_back({type, static_cast<std::uint32_t>(offset), static_cast<std::int32_t>(bytes.size()), true});
}

std::string parameters::next_name() const {
    return elements_of_ == 0
               ? "parameter $" + std::to_string(size() + 1)
               : "element " + std::to_string(size() + 1) + " of parameter $" + std::to_string(elements_of_);
}

void parameters::clear() noexcept {
    entries_.clear();
    bytes_.clear();
}

void parameters::append(std::span<const std::byte> bytes) {
    // The server takes 1 GiB in one statement; up to twice that, the entries' offsets and lengths cannot overflow.
    constexpr std::size_t most_bytes = 0x7fff'ffff;
    if (bytes.size() >= most_bytes - bytes_.size()) {
        throw error{pool_errc::too_large, next_name() + " has " + std::to_string(bytes.size()) +
                                              " bytes; the server takes 1 GiB in one statement"};
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

}  // namespace trunkline
