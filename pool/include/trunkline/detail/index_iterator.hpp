#pragma once

#include <cstddef>

namespace trunkline::detail {

/// Walks over what `Of` gives by number; `at` makes the value of one.
template <typename Of, typename Value, Value (*at)(const Of&, std::size_t)>
class index_iterator {
public:
    using value_type = Value;
    using difference_type = std::ptrdiff_t;

    index_iterator() noexcept = default;
    index_iterator(const Of* of, std::size_t number) noexcept : of_{of}, number_{number} {}

    Value operator*() const { return at(*of_, number_); }
    index_iterator& operator++() noexcept {
        ++number_;
        return *this;
    }
    index_iterator operator++(int) noexcept { return {of_, number_++}; }
    bool operator==(const index_iterator&) const noexcept = default;

private:
    const Of* of_ = nullptr;
    std::size_t number_ = 0;
};

}  // namespace trunkline::detail
