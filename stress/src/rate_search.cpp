#include "rate_search.hpp"

#include <algorithm>

namespace trunkline::stress {

rate_search::rate_search(double first) : rate_{std::clamp(first, lowest, highest)} {}

std::optional<double> rate_search::next() const {
    const bool precise = held_ && broken_ && *broken_ / *held_ <= precision;
    const bool at_the_end = (held_ && *held_ >= highest) || (broken_ && *broken_ <= lowest);
    return precise || at_the_end ? std::nullopt : std::optional{rate_};
}

void rate_search::on_result(bool held) {
    (held ? held_ : broken_) = rate_;
    if (held_ && broken_) {
        rate_ = (*held_ + *broken_) / 2;
    } else {
        rate_ = std::clamp(held ? rate_ * 2 : rate_ / 2, lowest, highest);
    }
}

}  // namespace trunkline::stress
