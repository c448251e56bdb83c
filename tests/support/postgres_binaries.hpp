#pragma once

#include <filesystem>

namespace trunkline::test {

/// The folder with `initdb` and `postgres`: `wanted` if it is not empty, else the newest installed. Throws
/// `std::runtime_error` with the remedy if there is none.
std::filesystem::path find_postgres_binaries(const std::filesystem::path& wanted);

}  // namespace trunkline::test
