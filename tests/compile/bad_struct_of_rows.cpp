// expect: a struct that is no aggregate must be described
#include <trunkline/pool.hpp>

class opaque {
public:
    opaque() = default;

private:
    int hidden_ = 0;
};

auto read(const trunkline::result& from) { return from.into<opaque>(); }
