// expect: (use of deleted function|deleted)
#include <trunkline/pool.hpp>

trunkline::transaction copy(const trunkline::transaction& other) { return other; }
