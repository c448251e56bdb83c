#include "support/catch.hpp"

#include <trunkline/settings.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace {

using namespace trunkline;
using namespace std::chrono_literals;

std::vector<std::string> wrong_in(const pool_settings& settings) {
    std::vector<std::string> names;
    for (const auto& p : validate(settings)) {
        names.push_back(p.setting);
    }
    return names;
}

/// One value, and the setting that it is a value of.
struct row {
    const char* setting;
    void (*set)(pool_settings&);
};

const row out_of_bounds[] = {
    {"name", [](pool_settings& s) { s.name.clear(); }},
    {"size.max", [](pool_settings& s) { s.size = {.min = 0, .max = 0}; }},
    {"size.max", [](pool_settings& s) { s.size.max = 10'001; }},
    {"size.min", [](pool_settings& s) { s.size = {.min = 11, .max = 10}; }},
    {"connect.timeout", [](pool_settings& s) { s.connect.timeout = 0ms; }},
    {"connect.timeout", [](pool_settings& s) { s.connect.timeout = -1ms; }},
    {"connect.timeout", [](pool_settings& s) { s.connect.timeout = std::chrono::hours{24 * 365} + 1ms; }},
    {"connect.max_connecting", [](pool_settings& s) { s.connect.max_connecting = 0; }},
    {"connect.backoff_initial", [](pool_settings& s) { s.connect.backoff_initial = 0ms; }},
    {"connect.backoff_initial", [](pool_settings& s) { s.connect.backoff_initial = 5'001ms; }},
    {"connect.application_name", [](pool_settings& s) { s.connect.application_name.assign(64, 'x'); }},
    {"connect.tcp.keepalives_idle", [](pool_settings& s) { s.connect.tcp.keepalives_idle = 0s; }},
    {"connect.tcp.keepalives_interval", [](pool_settings& s) { s.connect.tcp.keepalives_interval = 0s; }},
    {"connect.tcp.keepalives_count", [](pool_settings& s) { s.connect.tcp.keepalives_count = 0; }},
    {"connect.tcp.keepalives_count", [](pool_settings& s) { s.connect.tcp.keepalives_count = 101; }},
    {"connect.tcp.user_timeout", [](pool_settings& s) { s.connect.tcp.user_timeout = -1ms; }},
    {"acquire.timeout", [](pool_settings& s) { s.acquire.timeout = 0ms; }},
    {"acquire.max_waiting", [](pool_settings& s) { s.acquire.max_waiting = 0; }},
    {"lifetime.idle_timeout", [](pool_settings& s) { s.lifetime.idle_timeout = -1ms; }},
    {"lifetime.idle_timeout", [](pool_settings& s) { s.lifetime.idle_timeout = s.lifetime.max_lifetime; }},
    {"lifetime.max_lifetime", [](pool_settings& s) { s.lifetime.max_lifetime = -1ms; }},
    {"lifetime.rollback_timeout", [](pool_settings& s) { s.lifetime.rollback_timeout = 0ms; }},
    {"size.min_idle", [](pool_settings& s) { s.size.min_idle = 11; }},
    {"size.automatic.share", [](pool_settings& s) { s.size.automatic = {.share = 0}; }},
    {"size.automatic.share", [](pool_settings& s) { s.size.automatic = {.share = 1.1}; }},
    {"size.automatic.instances", [](pool_settings& s) { s.size.automatic = {.instances = 0}; }},
    {"connect.anticipation", [](pool_settings& s) { s.connect.anticipation = -1ms; }},
    {"recovery.start_timeout", [](pool_settings& s) { s.recovery.start_timeout = -1ms; }},
    {"recovery.fail_fast_after", [](pool_settings& s) { s.recovery.fail_fast_after = -1ms; }},
    {"recovery.full_retry", [](pool_settings& s) { s.recovery.full_retry = 0ms; }},
    {"recovery.starting_retry", [](pool_settings& s) { s.recovery.starting_retry = 0ms; }},
    {"recovery.misconfigured_retry", [](pool_settings& s) { s.recovery.misconfigured_retry = 0ms; }},
    {"recovery.breaker_failures", [](pool_settings& s) { s.recovery.breaker_failures = 0; }},
    {"recovery.breaker_window", [](pool_settings& s) { s.recovery.breaker_window = 0ms; }},
    {"recovery.breaker_pause", [](pool_settings& s) { s.recovery.breaker_pause = 0ms; }},
    {"acquire.shed_target", [](pool_settings& s) { s.acquire.shed_target = -1ms; }},
    {"acquire.shed_target", [](pool_settings& s) { s.acquire.shed_target = s.acquire.timeout; }},
    {"acquire.shed_interval", [](pool_settings& s) { s.acquire.shed_interval = 0ms; }},
    {"lifetime.keepalive", [](pool_settings& s) { s.lifetime.keepalive = -1ms; }},
    {"lifetime.keepalive", [](pool_settings& s) { s.lifetime.keepalive = s.lifetime.max_lifetime; }},
    {"validation.after", [](pool_settings& s) { s.validation.after = -1ms; }},
    {"validation.timeout", [](pool_settings& s) { s.validation.timeout = 0ms; }},
    {"validation.timeout", [](pool_settings& s) { s.validation.timeout = s.acquire.timeout; }},
    {"query.timeout", [](pool_settings& s) { s.query.timeout = -1ms; }},
    {"query.cancel_timeout", [](pool_settings& s) { s.query.cancel_timeout = 0ms; }},
    {"prepare.after_uses", [](pool_settings& s) { s.prepare.after_uses = 1'000'001; }},
    {"prepare.max_statements", [](pool_settings& s) { s.prepare.max_statements = 10'001; }},
    {"prepare.warm_statements", [](pool_settings& s) { s.prepare.warm_statements = 1'001; }},
    {"prepare.ttl", [](pool_settings& s) { s.prepare.ttl = -1ms; }},
    {"reset.drain_time", [](pool_settings& s) { s.reset.drain_time = 0ms; }},
    {"lease.timeout", [](pool_settings& s) { s.lease.timeout = -1ms; }},
    {"lease.leak_threshold", [](pool_settings& s) { s.lease.leak_threshold = -1ms; }},
    {"lease.leak_threshold", [](pool_settings& s) { s.lease = {.timeout = 1s, .leak_threshold = 1s}; }},
    {"hooks.on_connect_timeout", [](pool_settings& s) { s.hooks.on_connect_timeout = 0ms; }},
    {"hooks.before_acquire_timeout", [](pool_settings& s) { s.hooks.before_acquire_timeout = 0ms; }},
    {"hooks.after_release_timeout", [](pool_settings& s) { s.hooks.after_release_timeout = 0ms; }},
    {"hooks.before_close_timeout", [](pool_settings& s) { s.hooks.before_close_timeout = 0ms; }},
    {"close.preclose_delay", [](pool_settings& s) { s.close.preclose_delay = -1ms; }},
    {"size.automatic.instances", [](pool_settings& s) { s.size.automatic = {.instances = 100'001}; }},
    {"connect.max_connecting", [](pool_settings& s) { s.connect.max_connecting = 1'001; }},
    {"recovery.breaker_failures", [](pool_settings& s) { s.recovery.breaker_failures = 1'000'001; }},
    {"acquire.max_waiting", [](pool_settings& s) { s.acquire.max_waiting = 10'000'001; }},
    {"reset.drain_bytes", [](pool_settings& s) { s.reset.drain_bytes = (std::size_t{1} << 30) + 1; }},
    {"query.timeout", [](pool_settings& s) { s.query.timeout = s.lease.timeout = 1s; }},
};

const row at_a_bound[] = {
    {"size.max", [](pool_settings& s) { s.size = {.min = 0, .max = 1}; }},
    {"size.max", [](pool_settings& s) { s.size.max = 10'000; }},
    {"size.min", [](pool_settings& s) { s.size = {.min = 10, .max = 10}; }},
    {"connect.timeout", [](pool_settings& s) { s.connect.timeout = 1ms; }},
    {"connect.timeout", [](pool_settings& s) { s.connect.timeout = std::chrono::hours{24 * 365}; }},
    {"connect.backoff_initial", [](pool_settings& s) { s.connect.backoff_initial = s.connect.backoff_max; }},
    {"connect.application_name", [](pool_settings& s) { s.connect.application_name.assign(63, 'x'); }},
    {"connect.application_name", [](pool_settings& s) { s.connect.application_name.clear(); }},
    {"connect.tcp.keepalives_count", [](pool_settings& s) { s.connect.tcp.keepalives_count = 100; }},
    {"connect.tcp.user_timeout", [](pool_settings& s) { s.connect.tcp.user_timeout = 0ms; }},
    {"lifetime.idle_timeout", [](pool_settings& s) { s.lifetime.idle_timeout = 0ms; }},
    {"lifetime.max_lifetime", [](pool_settings& s) { s.lifetime.max_lifetime = 0ms; }},
    {"lifetime.idle_timeout", [](pool_settings& s) { s.lifetime.idle_timeout = s.lifetime.max_lifetime - 1ms; }},
    {"size.automatic.instances", [](pool_settings& s) { s.size.automatic = {.instances = 100'000}; }},
    {"connect.max_connecting", [](pool_settings& s) { s.connect.max_connecting = 1'000; }},
    {"recovery.breaker_failures", [](pool_settings& s) { s.recovery.breaker_failures = 1'000'000; }},
    {"acquire.max_waiting", [](pool_settings& s) { s.acquire.max_waiting = 10'000'000; }},
    {"reset.drain_bytes", [](pool_settings& s) { s.reset.drain_bytes = std::size_t{1} << 30; }},
    {"reset.drain_bytes", [](pool_settings& s) { s.reset.drain_bytes = 0; }},
    {"query.timeout", [](pool_settings& s) { s.query.timeout = 1s, s.lease.timeout = 1s + 1ms; }},
    {"query.timeout", [](pool_settings& s) { s.query.timeout = 1s; }},
    {"lease.timeout", [](pool_settings& s) { s.lease.timeout = 1s; }},
};

}  // namespace

TEST_CASE("the defaults are usable") { CHECK(validate({}).empty()); }

TEST_CASE("each value out of its bounds is named, and nothing else with it") {
    for (const auto& r : out_of_bounds) {
        pool_settings settings;
        r.set(settings);
        INFO(r.setting);
        CHECK(wrong_in(settings) == std::vector<std::string>{r.setting});
    }
}

TEST_CASE("a value at its bound is accepted") {
    for (const auto& r : at_a_bound) {
        pool_settings settings;
        r.set(settings);
        INFO(r.setting);
        CHECK(wrong_in(settings).empty());
    }
}

TEST_CASE("every problem is listed, not the first alone") {
    pool_settings settings;
    settings.name.clear();
    settings.size = {.min = 9, .max = 0};
    settings.connect.max_connecting = 0;
    settings.acquire.timeout = 0ms;
    settings.lifetime.rollback_timeout = 0ms;
    const auto found = wrong_in(settings);
    CHECK(found == std::vector<std::string>{"name", "size.max", "size.min", "connect.max_connecting", "acquire.timeout",
                                            "lifetime.rollback_timeout"});
}

TEST_CASE("what is not given is derived so that it contradicts nothing") {
    pool_settings settings;
    CHECK(validation_timeout(settings) == 500ms);
    CHECK(before_acquire_timeout(settings) == 1s);
    CHECK(keepalive_interval(settings.lifetime) == 2min);
    settings.acquire.timeout = 100ms;
    settings.lifetime = {.idle_timeout = 0ms, .max_lifetime = 60s};
    CHECK(validate(settings).empty());
    CHECK(validation_timeout(settings) == 50ms);
    CHECK(before_acquire_timeout(settings) == 50ms);
    CHECK(keepalive_interval(settings.lifetime) == 0ms);
    settings.validation.timeout = 70ms;
    settings.lifetime.keepalive = 30s;
    CHECK(validation_timeout(settings) == 70ms);
    settings.hooks.before_acquire_timeout = 80ms;
    CHECK(before_acquire_timeout(settings) == 80ms);
    CHECK(keepalive_interval(settings.lifetime) == 30s);
}

TEST_CASE("the error carries every problem with its setting and its value") {
    pool_settings settings;
    settings.size = {.min = 20, .max = 10};
    settings.acquire.timeout = 0ms;
    const settings_error error{validate(settings)};
    CHECK(error.problems() == validate(settings));
    const std::string text = error.what();
    for (const char* part : {"size.min", "20", "10", "acquire.timeout", "0 ms"}) {
        INFO(part);
        CHECK(text.find(part) != std::string::npos);
    }
}

TEST_CASE("no problem quotes the URL, which may hold a password") {
    pool_settings settings;
    settings.connect.url = "postgresql://u:canary@h/db";
    settings.connect.timeout = 0ms;
    settings.name.clear();
    const settings_error error{validate(settings)};
    CHECK(std::string{error.what()}.find("canary") == std::string::npos);
}
