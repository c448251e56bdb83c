#pragma once

#include <cstdint>
#include <string>

namespace trunkline {

/// What an error calls a server's type: `numeric`, or `type 16412` if it is not one of the common ones.
std::string type_name(std::uint32_t oid);

}  // namespace trunkline
