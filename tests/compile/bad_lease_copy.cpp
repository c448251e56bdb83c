// expect: (use of deleted function|deleted)
#include <trunkline/pool.hpp>

trunkline::lease copy(const trunkline::lease& other) { return other; }
