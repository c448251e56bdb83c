#include <trunkline/histogram.hpp>

#include <algorithm>
#include <cmath>

namespace trunkline {

void histogram_snapshot::record(std::chrono::nanoseconds value) noexcept {
    ++count;
    sum += std::max(value, std::chrono::nanoseconds{0});
    longest = std::max(longest, value);
    ++counts[histogram_scale::bucket_of(value)];
}

void histogram_snapshot::merge(const histogram_snapshot& other) noexcept {
    count += other.count;
    sum += other.sum;
    longest = std::max(longest, other.longest);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] += other.counts[i];
    }
}

std::chrono::nanoseconds histogram_snapshot::quantile(double q) const noexcept {
    if (count == 0) {
        return {};
    }
    const auto share = (q > 0.0 ? std::min(q, 1.0) : 0.0) * static_cast<double>(count);  // NaN counts as 0
    const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(share)), 1, count);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        seen += counts[i];
        if (seen >= rank) {
            return i + 1 == counts.size() ? longest : std::min(histogram_scale::middle(i), longest);
        }
    }
    return longest;
}

std::chrono::nanoseconds histogram_snapshot::mean() const noexcept {
    return count == 0 ? std::chrono::nanoseconds{0} : sum / static_cast<std::int64_t>(count);
}

}  // namespace trunkline
