#pragma once

#include <trunkline/profile.hpp>

namespace trunkline {

/// The profile that the environment variable `TRUNKLINE_ENV` names; `fallback` if it is unset or empty.
/// Throws `settings_error` if it names no profile. Reads the process's environment: call it before threads change it.
profile profile_from_environment(profile fallback = profile::development);

/// `settings_for(profile_from_environment(fallback))`.
pool_settings settings_from_environment(profile fallback = profile::development);

}  // namespace trunkline
