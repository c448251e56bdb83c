// What an operator does with a pool that runs, and sees of it.
#include "pool_impl.hpp"

namespace trunkline::detail {

namespace {

/// What the core does not know: how sessions became quiet again, or did not. Not of the same moment as the rest.
void add_counts_of_sessions(const pg::session_policy& from, pool_counts& to) noexcept {
    const auto read = [](const pg::session_policy::count& one) { return one.load(std::memory_order_relaxed); };
    to.rollbacks = read(from.rollbacks);
    to.rollbacks_failed = read(from.rollbacks_failed);
    to.resets = read(from.resets);
    to.resets_failed = read(from.resets_failed);
    to.drains = read(from.drains);
    to.drains_given_up = read(from.drains_given_up);
    to.prepares = read(from.prepares);
    to.prepares_repeated = read(from.prepares_repeated);
    to.prepares_closed = read(from.prepares_closed);
    to.query_timeouts = read(from.timeouts);
    to.cancels = read(from.cancels);
    to.cancels_proven = read(from.cancels_proven);
    to.cancels_unproven = read(from.cancels_unproven);
    to.cancels_refused = read(from.cancels_refused);
}

}  // namespace

void pool_impl::rotate() {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->rotate(std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::evict(const std::function<bool(const connection_info&)>& chosen) {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    const auto now = std::chrono::steady_clock::now();
    {
        const guarded_machine::entry core{machine_};
        const auto ask = [&](const core::slot& s) {
            const auto* const c = static_cast<const pooled_connection*>(s.connection);
            if (!chosen || c == nullptr || s.opened_at == core::never) {
                return !chosen;
            }
            return chosen({.backend_pid = c->session().backend_pid(),
                           .age = now - s.opened_at,
                           .uses = s.uses,
                           .leased = s.state == core::slot_state::leased});
        };
        core->evict(ask, now, decided);
    }
    carry_out(decided);
}

void pool_impl::suspend(suspend_options options) {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->suspend(options.hold_deadlines, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::resume() {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->resume(std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

std::vector<lease_holder> pool_impl::holders() const {
    std::vector<lease_holder> all;
    all.reserve(machine_.counts().leased + 1);
    const auto now = std::chrono::steady_clock::now();
    machine_.look([&](const core::machine& core) {
        for (const core::slot& s : core.slots()) {
            const auto* const c = static_cast<const pooled_connection*>(s.connection);
            if (!s.lent_out || c == nullptr) {
                continue;
            }
            const bool seen = s.leased_since != core::never && s.seen_use == s.uses;
            all.push_back({.file = c->lent_to.file.load(std::memory_order_relaxed),
                           .function = c->lent_to.function.load(std::memory_order_relaxed),
                           .line = c->lent_to.line.load(std::memory_order_relaxed),
                           .backend_pid = c->session().backend_pid(),
                           .since = seen ? now - s.leased_since : std::chrono::nanoseconds{0},
                           .leak_reported = c->leak_reported.load(std::memory_order_relaxed)});
        }
    });
    return all;
}

pool_state pool_impl::state() const noexcept {
    auto now = pool_state::open;
    machine_.look([&](const core::machine& core) {
        now = core.is_closed() ? pool_state::closed : core.is_suspended() ? pool_state::suspended : pool_state::open;
    });
    const bool draining = closes_at_.load() != core::never.time_since_epoch().count();
    return draining && now != pool_state::closed ? pool_state::draining : now;
}

pool_counts pool_impl::counts() const noexcept {
    auto all = machine_.counts();
    add_counts_of_sessions(*policy_, all);
    return all;
}

pool_stats pool_impl::stats() const noexcept {
    pool_stats all;
    static_cast<pool_counts&>(all) = counts();
    all.wait = waits_.snapshot();
    all.use = uses_.snapshot();
    all.dial = dials_.snapshot();
    return all;
}

std::shared_ptr<const pool_settings> pool_impl::settings() const {
    const std::lock_guard lock{state_mutex_};
    return settings_;
}

error pool_impl::start_error(const error_code& code) const {
    const auto last = last_connect_error();
    if (!last) {
        return error{code, "pool \"" + settings()->name + "\" has not warmed up in time"};
    }
    diagnostics said;
    said.message = last->message;
    said.sqlstate = last->sqlstate;
    return error{code, std::move(said)};
}

std::shared_ptr<const connect_failure> pool_impl::last_connect_error() const {
    const std::lock_guard lock{state_mutex_};
    return last_connect_error_;
}

}  // namespace trunkline::detail
