#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace trunkline::bench {

/// What the command line asks for.
struct bench_options {
    std::string database_url;  ///< empty: a throwaway server
    bool unix_socket = false;  ///< with the throwaway server: its socket instead of TCP
    int rounds = 5;
    double seconds = 3;  ///< measured, for each side of each round
    std::vector<std::size_t> clients{1'000, 10'000};
    std::vector<std::size_t> connections{50, 10};
    std::vector<std::string> only;  ///< empty: everything
    std::string json;               ///< empty: no file

    [[nodiscard]] bool wants(const std::string& part) const;
    /// Whether anything is measured for each number of clients and connections.
    [[nodiscard]] bool wants_cells() const {
        return wants("query") || wants("baseline") || wants("pool") || wants("handoff");
    }
};

/// Reads the command line; prints help or one sentence about what is wrong, and then gives the exit code.
std::optional<int> read_options(int count, char** arguments, bench_options& into);

}  // namespace trunkline::bench
