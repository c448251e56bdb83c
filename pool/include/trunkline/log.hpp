#pragma once

#include <functional>
#include <string_view>

namespace trunkline {

enum class log_level {
    debug,    ///< connections closed in the usual course
    info,     ///< the server's notices
    warning,  ///< a dial that failed, a connection lost, a lease that left a mess, the server's warnings
    error,    ///< what no retry mends: a refused password
};

std::string_view name_of(log_level level) noexcept;

/// One line for the log. The views are valid during the call only. No secret stands in it.
struct log_record {
    log_level level = log_level::info;
    std::string_view pool;     ///< `pool_settings::name`
    std::string_view message;  ///< one sentence
};

/// Called on the thread where it happens: one of the pool's executor, or that of a caller who returns a lease; maybe on
/// several at once; never under the pool's lock. It should not block, and what it throws is dropped. An empty handler:
/// nothing is logged.
using log_handler = std::function<void(const log_record&)>;

}  // namespace trunkline
