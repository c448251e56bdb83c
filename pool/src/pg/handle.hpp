#pragma once

#include "fork_guard.hpp"

#include <libpq-fe.h>

#include <memory>

namespace trunkline::pg {

/// Ends a libpq connection. In the child of a fork it says no goodbye on the socket that the parent still uses.
struct finish {
    void operator()(PGconn* connection) const noexcept;
    unsigned born = fork_generation();
};
using connection_handle = std::unique_ptr<PGconn, finish>;

}  // namespace trunkline::pg
