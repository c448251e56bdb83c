#pragma once

#include <optional>

namespace trunkline::stress {

/// Which rate to try next: doubles from the first until one breaks (halves until one holds), then bisects between the
/// highest that held and the lowest that broke, until they are 5 % apart.
class rate_search {
public:
    static constexpr double precision = 1.05;
    static constexpr double lowest = 1;
    static constexpr double highest = 1e6;

    explicit rate_search(double first);

    /// Operations per second; nothing when the search is over.
    [[nodiscard]] std::optional<double> next() const;
    /// What became of the rate that `next` gave.
    void on_result(bool held);

    /// The highest rate that held, if one did.
    [[nodiscard]] std::optional<double> held() const { return held_; }

private:
    double rate_;
    std::optional<double> held_;
    std::optional<double> broken_;
};

}  // namespace trunkline::stress
