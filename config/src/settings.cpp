#include <trunkline/settings.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace trunkline {

namespace {

std::string describe(const std::vector<settings_problem>& problems) {
    std::string text = "invalid pool settings:";
    for (const auto& [setting, problem] : problems) {
        text += "\n  ";
        text += setting;
        text += ": ";
        text += problem;
    }
    return text;
}

class checker {
public:
    void require(bool holds, const char* setting, std::string problem) {
        if (!holds) {
            problems_.push_back({setting, std::move(problem)});
        }
    }

    void between(std::size_t value, std::size_t least, std::size_t most, const char* setting) {
        require(value >= least && value <= most, setting,
                "is " + std::to_string(value) + "; give between " + std::to_string(least) + " and " +
                    std::to_string(most));
    }

    void positive(std::chrono::milliseconds value, const char* setting) {
        require(value.count() >= 1 && value <= longest, setting,
                "is " + std::to_string(value.count()) + " ms; give between 1 ms and 1 year");
    }

    void zero_or_more(std::chrono::milliseconds value, const char* setting, const char* zero) {
        require(value.count() >= 0 && value <= longest, setting,
                "is " + std::to_string(value.count()) + " ms; give between 0 (" + zero + ") and 1 year");
    }

    void keepalive(std::chrono::seconds value, const char* setting) {
        constexpr std::chrono::seconds most{32'767};  // Linux's own bound
        require(value.count() >= 1 && value <= most, setting,
                "is " + std::to_string(value.count()) + " s; give between 1 s and 32767 s");
    }

    std::vector<settings_problem> take() { return std::move(problems_); }

private:
    static constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365};
    std::vector<settings_problem> problems_;
};

// Why each: settings.hpp. Beyond them a number is a slip of the pen, or would be taken for a limit and be none.
constexpr std::size_t most_connections = 10'000;
constexpr std::size_t most_instances = 100'000;
constexpr std::size_t most_connecting = 1'000;
constexpr std::size_t most_breaker_failures = 1'000'000;
constexpr std::size_t most_waiting = 10'000'000;
constexpr std::size_t most_uses = 1'000'000;
constexpr std::size_t most_prepared = 10'000;
constexpr std::size_t most_warmed = 1'000;
constexpr std::size_t most_drained = std::size_t{1} << 30;

void check_size(checker& check, const size_settings& size) {
    check.between(size.max, 1, most_connections, "size.max");
    const auto within_max = [&](std::size_t value, const char* setting) {
        check.require(value <= size.max, setting,
                      "is " + std::to_string(value) + ", more than size.max (" + std::to_string(size.max) +
                          "); lower it or raise size.max");
    };
    within_max(size.min, "size.min");
    within_max(size.min_idle, "size.min_idle");
    if (size.automatic) {
        check.require(size.automatic->share > 0 && size.automatic->share <= 1, "size.automatic.share",
                      "is " + std::to_string(size.automatic->share) + "; give more than 0 and at most 1");
        check.between(size.automatic->instances, 1, most_instances, "size.automatic.instances");
    }
}

void check_connect(checker& check, const connect_settings& connect) {
    check.positive(connect.timeout, "connect.timeout");
    check.between(connect.max_connecting, 1, most_connecting, "connect.max_connecting");
    check.zero_or_more(connect.anticipation, "connect.anticipation", "at once");
    check.positive(connect.backoff_initial, "connect.backoff_initial");
    check.positive(connect.backoff_max, "connect.backoff_max");
    check.require(connect.backoff_initial <= connect.backoff_max, "connect.backoff_initial",
                  "is longer than connect.backoff_max; lower it or raise connect.backoff_max");
    check.require(connect.application_name.size() < 64, "connect.application_name",
                  "has " + std::to_string(connect.application_name.size()) + " bytes; PostgreSQL keeps 63, shorten it");
    const auto& tcp = connect.tcp;
    check.keepalive(tcp.keepalives_idle, "connect.tcp.keepalives_idle");
    check.keepalive(tcp.keepalives_interval, "connect.tcp.keepalives_interval");
    check.require(tcp.keepalives_count >= 1 && tcp.keepalives_count <= 100, "connect.tcp.keepalives_count",
                  "is " + std::to_string(tcp.keepalives_count) + "; give between 1 and 100");
    check.zero_or_more(tcp.user_timeout, "connect.tcp.user_timeout", "the kernel's default");
}

void check_recovery(checker& check, const recovery_settings& recovery) {
    check.zero_or_more(recovery.start_timeout, "recovery.start_timeout", "connect.timeout, or for ever");
    if (recovery.fail_fast_after) {
        check.zero_or_more(*recovery.fail_fast_after, "recovery.fail_fast_after", "from the first failure on");
    }
    check.positive(recovery.full_retry, "recovery.full_retry");
    check.positive(recovery.starting_retry, "recovery.starting_retry");
    check.positive(recovery.misconfigured_retry, "recovery.misconfigured_retry");
    check.between(recovery.breaker_failures, 1, most_breaker_failures, "recovery.breaker_failures");
    check.positive(recovery.breaker_window, "recovery.breaker_window");
    check.positive(recovery.breaker_pause, "recovery.breaker_pause");
}

void check_acquire(checker& check, const acquire_settings& acquire) {
    check.positive(acquire.timeout, "acquire.timeout");
    check.between(acquire.max_waiting, 1, most_waiting, "acquire.max_waiting");
    check.zero_or_more(acquire.shed_target, "acquire.shed_target", "off");
    check.require(acquire.shed_target.count() <= 0 || acquire.shed_target < acquire.timeout, "acquire.shed_target",
                  "is not shorter than acquire.timeout, so that it never counts; lower it, or turn it off with 0");
    check.positive(acquire.shed_interval, "acquire.shed_interval");
}

void check_lifetime(checker& check, const lifetime_settings& lifetime) {
    check.zero_or_more(lifetime.idle_timeout, "lifetime.idle_timeout", "never");
    check.zero_or_more(lifetime.max_lifetime, "lifetime.max_lifetime", "never");
    check.positive(lifetime.rollback_timeout, "lifetime.rollback_timeout");
    const bool both = lifetime.idle_timeout.count() > 0 && lifetime.max_lifetime.count() > 0;
    check.require(
        !both || lifetime.idle_timeout < lifetime.max_lifetime, "lifetime.idle_timeout",
        "is not shorter than lifetime.max_lifetime, so that it never counts; lower it, or turn it off with 0");
    if (lifetime.keepalive) {
        check.zero_or_more(*lifetime.keepalive, "lifetime.keepalive", "never");
        check.require(
            lifetime.keepalive->count() <= 0 || lifetime.max_lifetime.count() <= 0 ||
                *lifetime.keepalive < lifetime.max_lifetime,
            "lifetime.keepalive",
            "is not shorter than lifetime.max_lifetime, so that it never counts; lower it, or turn it off with 0");
    }
}

void check_use(checker& check, const pool_settings& settings) {
    check.zero_or_more(settings.validation.after, "validation.after", "always");
    if (settings.validation.timeout) {
        check.positive(*settings.validation.timeout, "validation.timeout");
        check.require(*settings.validation.timeout < settings.acquire.timeout, "validation.timeout",
                      "is not shorter than acquire.timeout, so that one dead connection could cost a caller all the "
                      "time there is; lower it");
    }
    check.zero_or_more(settings.query.timeout, "query.timeout", "none");
    check.positive(settings.query.cancel_timeout, "query.cancel_timeout");
    check.between(settings.prepare.after_uses, 0, most_uses, "prepare.after_uses");
    check.between(settings.prepare.max_statements, 1, most_prepared, "prepare.max_statements");
    check.between(settings.prepare.warm_statements, 0, most_warmed, "prepare.warm_statements");
    check.zero_or_more(settings.prepare.ttl, "prepare.ttl", "as long as the connection");
    check.between(settings.reset.drain_bytes, 0, most_drained, "reset.drain_bytes");
    check.positive(settings.reset.drain_time, "reset.drain_time");
    const auto& lease = settings.lease;
    check.require(lease.timeout.count() <= 0 || settings.query.timeout < lease.timeout, "query.timeout",
                  "is not shorter than lease.timeout, so that it never counts; lower it, or turn it off with 0");
    check.zero_or_more(lease.timeout, "lease.timeout", "never");
    check.zero_or_more(lease.leak_threshold, "lease.leak_threshold", "never");
    check.require(lease.timeout.count() <= 0 || lease.leak_threshold < lease.timeout, "lease.leak_threshold",
                  "is not shorter than lease.timeout, so that it never counts; lower it, or turn it off with 0");
    check.positive(settings.hooks.on_connect_timeout, "hooks.on_connect_timeout");
    if (settings.hooks.before_acquire_timeout) {
        check.positive(*settings.hooks.before_acquire_timeout, "hooks.before_acquire_timeout");
    }
    check.positive(settings.hooks.after_release_timeout, "hooks.after_release_timeout");
    check.positive(settings.hooks.before_close_timeout, "hooks.before_close_timeout");
    check.zero_or_more(settings.close.preclose_delay, "close.preclose_delay", "refuse at once");
}

std::chrono::milliseconds half_of_acquire(const pool_settings& settings, std::chrono::milliseconds most) noexcept {
    constexpr std::chrono::milliseconds shortest{1};
    return std::clamp(settings.acquire.timeout / 2, shortest, most);
}

}  // namespace

settings_error::settings_error(std::vector<settings_problem> problems)
    : std::invalid_argument{describe(problems)},
      problems_{std::move(problems)} {}

std::vector<settings_problem> validate(const pool_settings& settings) {
    checker check;
    check.require(!settings.name.empty(), "name", "is empty; give the pool a name, logs and metrics carry it");
    check_size(check, settings.size);
    check_connect(check, settings.connect);
    check_recovery(check, settings.recovery);
    check_acquire(check, settings.acquire);
    check_lifetime(check, settings.lifetime);
    check_use(check, settings);
    return check.take();
}

std::chrono::milliseconds validation_timeout(const pool_settings& settings) noexcept {
    constexpr std::chrono::milliseconds usual{500};
    return settings.validation.timeout.value_or(half_of_acquire(settings, usual));
}

std::chrono::milliseconds before_acquire_timeout(const pool_settings& settings) noexcept {
    constexpr std::chrono::milliseconds usual{1'000};
    return settings.hooks.before_acquire_timeout.value_or(half_of_acquire(settings, usual));
}

std::chrono::milliseconds keepalive_interval(const lifetime_settings& lifetime) noexcept {
    constexpr std::chrono::milliseconds usual = std::chrono::minutes{2};
    const bool too_long = lifetime.max_lifetime.count() > 0 && lifetime.max_lifetime <= usual;
    return lifetime.keepalive.value_or(too_long ? std::chrono::milliseconds{0} : usual);
}

}  // namespace trunkline
