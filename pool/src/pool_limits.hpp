#pragma once

#include "core/limits.hpp"

#include <trunkline/pool.hpp>

namespace trunkline::detail {

/// What the core goes by, from what the pool was told. The settings must be valid.
core::limits limits_of(const pool_settings& settings, const pool_hooks& hooks);

/// Whether a new connection is prepared before it joins.
bool prepares(const pool_settings& settings, const pool_hooks& hooks) noexcept;

/// Whether the core must be told when a clean lease comes back.
bool needs_clock(const core::limits& by) noexcept;

}  // namespace trunkline::detail
