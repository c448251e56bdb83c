// expect: give the result a name first
// The struct's text would point into a result that ends with the expression.
#include <trunkline/pool.hpp>

struct view {
    std::string_view text;
};

trunkline::result answer();

auto read() { return answer().into<view>(); }
