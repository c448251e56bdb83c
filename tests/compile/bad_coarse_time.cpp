// expect: which this type would lose
// PostgreSQL's times have microseconds: rounding them is the user's decision.
#include <trunkline/pool.hpp>

auto read(const trunkline::row& from) { return from.get<std::chrono::sys_time<std::chrono::milliseconds>>(0); }
