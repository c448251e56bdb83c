#include <trunkline/spdlog_handler.hpp>

#include <spdlog/spdlog.h>

#include <utility>

namespace trunkline {

namespace {

spdlog::level::level_enum spdlog_level(log_level level) {
    switch (level) {
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warning: return spdlog::level::warn;
    case log_level::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

}  // namespace

log_handler spdlog_handler(std::string logger) {
    return [name = std::move(logger)](const log_record& record) {
        auto target = name.empty() ? nullptr : spdlog::get(name);
        if (!target) {
            target = spdlog::default_logger();
        }
        if (target) {
            target->log(spdlog_level(record.level), "pool {}: {}", record.pool, record.message);
        }
    };
}

}  // namespace trunkline
