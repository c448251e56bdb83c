#include "pool_limits.hpp"

namespace trunkline::detail {

core::limits limits_of(const pool_settings& settings, const pool_hooks& hooks) {
    core::limits by;
    by.min = settings.size.min;
    by.max = settings.size.max;
    by.min_idle = settings.size.min_idle;
    by.max_connecting = settings.connect.max_connecting;
    by.anticipation = settings.connect.anticipation;
    by.backoff_initial = settings.connect.backoff_initial;
    by.backoff_max = settings.connect.backoff_max;
    by.full_retry = settings.recovery.full_retry;
    by.starting_retry = settings.recovery.starting_retry;
    by.misconfigured_retry = settings.recovery.misconfigured_retry;
    by.breaker_failures = settings.recovery.breaker_failures;
    by.breaker_window = settings.recovery.breaker_window;
    by.breaker_pause = settings.recovery.breaker_pause;
    by.fail_fast_after = settings.recovery.fail_fast_after;
    by.max_waiting = settings.acquire.max_waiting;
    by.shed_target = settings.acquire.shed_target;
    by.shed_interval = settings.acquire.shed_interval;
    by.first_in_first_out = settings.acquire.order == idle_order::first_in_first_out;
    by.idle_timeout = settings.lifetime.idle_timeout;
    by.max_lifetime = settings.lifetime.max_lifetime;
    by.keepalive = keepalive_interval(settings.lifetime);
    by.max_uses = settings.lifetime.max_uses;
    by.validate_after = settings.validation.after;
    by.lease_timeout = settings.lease.timeout;
    by.leak_threshold = settings.lease.leak_threshold;
    by.prepares = prepares(settings, hooks);
    by.checks_each = static_cast<bool>(hooks.before_acquire);
    by.cleans_each = static_cast<bool>(hooks.after_release);
    by.says_farewell = static_cast<bool>(hooks.before_close);
    by.prepare_timeout = settings.hooks.on_connect_timeout;
    by.farewell_timeout = settings.hooks.before_close_timeout;
    by.check_timeout = validation_timeout(settings);
    by.before_acquire_timeout = before_acquire_timeout(settings);
    by.after_release_timeout = settings.hooks.after_release_timeout;
    by.clean_timeout = settings.query.cancel_timeout + settings.reset.drain_time + settings.lifetime.rollback_timeout;
    return by;
}

bool prepares(const pool_settings& settings, const pool_hooks& hooks) noexcept {
    const bool warms = settings.prepare.mode != prepare_mode::off && settings.prepare.warm_statements > 0;
    return settings.size.automatic.has_value() || hooks.on_connect || warms;
}

bool needs_clock(const core::limits& by) noexcept {
    return by.checks_each || by.cleans_each || by.says_farewell || by.shed_target.count() > 0;
}

}  // namespace trunkline::detail
