#pragma once

#include "mix.hpp"
#include "slo.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace trunkline::stress {

enum class run_mode {
    once,      ///< one run, judged by the SLO
    capacity,  ///< runs at rising rates until the SLO breaks
};

/// What the command line asks for.
struct options {
    run_mode mode = run_mode::once;

    std::optional<std::filesystem::path> posts;  ///< nothing: synthetic posts
    std::size_t synthetic = 20'000;
    std::string database_url;  ///< empty: a throwaway server

    std::size_t clients = 10'000;
    std::size_t connections = 50;
    std::size_t threads = 1;
    std::uint64_t seed = 1;

    std::chrono::nanoseconds duration = std::chrono::seconds{60};
    std::chrono::nanoseconds warm_up = std::chrono::seconds{2};
    std::chrono::nanoseconds think{0};  ///< closed loop; 0: none
    std::optional<double> rate;         ///< open loop, operations a second
    std::chrono::milliseconds acquire_timeout = std::chrono::seconds{30};
    mix operations;

    std::optional<slo> wanted;
    std::optional<std::filesystem::path> json;

    std::chrono::nanoseconds step = std::chrono::seconds{10};  ///< capacity: how long each rate is held
};

/// What the command line comes to: options, or a text to print and an exit code (`--help`).
struct parsed_options {
    std::optional<options> run;
    std::string text;
};

/// Reads the command line. Throws `user_error` for anything that it cannot use: unknown flags, bad values, flags that
/// exclude each other.
parsed_options parse_options(int argc, const char* const* argv);

}  // namespace trunkline::stress
