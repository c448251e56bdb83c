#pragma once

#include <trunkline/detail/oid.hpp>
#include <trunkline/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

/// What the readers of the server's binary formats share.
namespace trunkline::detail {

[[noreturn]] void fail(pool_errc why, const field& from, const std::string& problem);
/// `wanted`: "an integer".
[[noreturn]] void wrong_type(const field& from, const char* wanted);
/// The value is no value of its type: the server would have to be broken, or a proxy.
[[noreturn]] void malformed(const field& from);

/// Reads one value's bytes from front to back. Throws `malformed` where there are too few.
class byte_reader {
public:
    explicit byte_reader(const field& from) noexcept : from_{from}, rest_{from.bytes()} {}

    template <typename Unsigned>
    Unsigned take() {
        Unsigned value = 0;
        for (const std::byte b : take_bytes(sizeof(Unsigned))) {
            value = static_cast<Unsigned>((static_cast<std::uint64_t>(value) << 8) | static_cast<std::uint64_t>(b));
        }
        return value;
    }
    std::span<const std::byte> take_bytes(std::size_t count) {
        if (count > rest_.size()) {
            malformed(from_);
        }
        const auto taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    /// Nothing may be left.
    void end() const {
        if (!rest_.empty()) {
            malformed(from_);
        }
    }

private:
    const field& from_;
    std::span<const std::byte> rest_;
};

/// A value that is one number.
template <typename Unsigned>
Unsigned big_endian(const field& from) {
    byte_reader reader{from};
    const auto value = reader.template take<Unsigned>();
    reader.end();
    return value;
}

}  // namespace trunkline::detail
