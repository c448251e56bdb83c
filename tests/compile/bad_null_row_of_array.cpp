// expect: std::optional goes around the elements
#include <trunkline/pool.hpp>

void add(trunkline::parameters& to) {
    const std::vector<std::optional<std::vector<int>>> table{{}};
    to.add(table);
}
