#pragma once

#include <libpq-fe.h>

#include <memory>

namespace trunkline::pg {

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using connection_handle = std::unique_ptr<PGconn, finish>;

}  // namespace trunkline::pg
