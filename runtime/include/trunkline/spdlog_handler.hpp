#pragma once

#include <trunkline/log.hpp>

#include <string>

namespace trunkline {

/// A log handler that writes to the spdlog logger of that name, or to spdlog's default logger if the name is empty or
/// no logger has it (looked up at each line, so that the program may register it later). Levels map one to one. Any
/// thread, if the logger's sinks are made for many (`_mt`).
[[nodiscard]] log_handler spdlog_handler(std::string logger = {});

}  // namespace trunkline
