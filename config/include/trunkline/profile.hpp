#pragma once

#include <trunkline/settings.hpp>

#include <optional>
#include <string_view>

namespace trunkline {

/// The environments that Trunkline has built-in sizes for.
enum class profile {
    development,  ///< one engineer's machine: 5 to 10 connections
    test,         ///< an automatic test: 2 to 5 connections
    staging,      ///< a rehearsal of production: 20 to 30 connections
    production,   ///< 50 connections, all opened at the start; 100 and more by `size.max`
};

/// The settings of a built-in profile: defaults everywhere, but for the sizes.
pool_settings settings_for(profile which);

/// The profile of that name (`development`, `test`, `staging`, `production`), or nothing.
std::optional<profile> profile_named(std::string_view name) noexcept;

/// The name of a profile, as `profile_named` reads it.
std::string_view name_of(profile which) noexcept;

}  // namespace trunkline
