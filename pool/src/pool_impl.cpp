#include "pool_impl.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>

#include <cassert>
#include <random>
#include <utility>

namespace trunkline::detail {

namespace {

core::limits limits_of(const pool_settings& settings) {
    return {
        .min = settings.size.min,
        .max = settings.size.max,
        .max_connecting = settings.connect.max_connecting,
        .max_waiting = settings.acquire.max_waiting,
        .backoff_initial = settings.connect.backoff_initial,
        .backoff_max = settings.connect.backoff_max,
        .idle_timeout = settings.lifetime.idle_timeout,
        .max_lifetime = settings.lifetime.max_lifetime,
        .rollback_timeout = settings.lifetime.rollback_timeout,
    };
}

std::shared_ptr<const pool_settings> checked(pool_settings settings) {
    auto problems = validate(settings);
    if (!problems.empty()) {
        throw settings_error{std::move(problems)};
    }
    return std::make_shared<const pool_settings>(std::move(settings));
}

/// Whether sessions opened with `a` will do for `b`.
bool same_sessions(const connect_settings& a, const connect_settings& b) {
    return a.url == b.url && a.application_name == b.application_name && a.tcp == b.tcp;
}

core::returned left_as(const pooled_connection& c, bool discard) noexcept {
    if (discard) {
        return core::returned::spoilt;
    }
    switch (c.session().state()) {
    case pg::session_state::clean: return core::returned::clean;
    case pg::session_state::in_transaction: return core::returned::in_transaction;
    case pg::session_state::busy:
    case pg::session_state::broken: break;
    }
    return core::returned::spoilt;
}

}  // namespace

pool_impl::pool_impl(boost::asio::any_io_executor executor, pool_settings settings, pool_hooks hooks)
    : executor_{std::move(executor)},
      hooks_{std::move(hooks)},
      machine_{limits_of(settings), std::random_device{}()},
      timer_{executor_},
      acquire_timeout_{settings.acquire.timeout.count()},
      settings_{checked(std::move(settings))},
      where_{std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings_->connect))},
      work_{boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked)} {}

pool_impl::~pool_impl() {
    const guarded_machine::entry core{machine_};
    for (const core::slot& s : core->slots()) {
        delete static_cast<pooled_connection*>(s.connection);
    }
}

pooled_connection* pool_impl::try_acquire() noexcept {
    if (!machine_.may_have_idle()) {
        return nullptr;
    }
    const guarded_machine::entry core{machine_};
    core::slot* const s = core->try_acquire();
    return s == nullptr ? nullptr : static_cast<pooled_connection*>(s->connection);
}

std::chrono::milliseconds pool_impl::timeout_of(const acquire_options& options) const noexcept {
    return options.timeout.count() > 0 ? options.timeout
                                       : std::chrono::milliseconds{acquire_timeout_.load(std::memory_order_relaxed)};
}

void pool_impl::wait(acquire_operation& op, core::time_point now) {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        if (core::slot* const s = core->try_acquire()) {  // one came back since the caller looked
            op.granted = s;
            op.result = core::outcome::granted;
            decided.settled.push_back(op);
        } else {
            core->wait(op, now, decided);
        }
    }
    carry_out(decided);
}

void pool_impl::cancel(acquire_operation& op) {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->cancel(op, decided);
    }
    carry_out(decided);
}

pooled_connection& pool_impl::granted(acquire_operation& op, core::time_point since) noexcept {
    assert(op.result == core::outcome::granted);
    auto& lent = *static_cast<pooled_connection*>(op.granted->connection);
    lent.lent_at = std::chrono::steady_clock::now();
    waits_.record(lent.lent_at - since);
    return lent;
}

void pool_impl::count_wait(core::time_point since) noexcept { waits_.record(std::chrono::steady_clock::now() - since); }

void pool_impl::take_back(pooled_connection& c, bool discard) noexcept {
    const auto how = left_as(c, discard);
    auto now = core::never;
    if (const auto first_used = c.session().take_first_use()) {  // a lease that ran nothing reads no clock
        now = std::chrono::steady_clock::now();
        uses_.record(now - std::min(c.lent_at, *first_used));
    }
    c.lent_at = core::never;

    core::actions decided;
    std::shared_ptr<pool_impl> self;  // let go of after everything else: it may be the last
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        core::slot& s = c.place();
        if (s.state == core::slot_state::vacant) {
            gone.reset(&c);
            s.connection = nullptr;
        }
        core->release(s, how, now, decided);
        self = kept_for(*core, decided);
    }
    if (self) {  // else there is nothing to do, and the pool may be gone already
        carry_out(decided);
    }
}

/// After the last lease the pool may go away as soon as the lock is free. Who has more to do takes a reference before.
std::shared_ptr<pool_impl> pool_impl::kept_for(const core::machine& core, const core::actions& decided) {
    if (while_lent_out_ && core.held() == 0) {
        return std::move(while_lent_out_);
    }
    const bool idle = decided.commands.empty() && decided.settled.empty() && decided.wake == core::never &&
                      decided.warmed == core::warm_up::no_news && !decided.finished;
    return idle ? nullptr : shared_from_this();
}

void pool_impl::start(completion done) {
    core::actions decided;
    const auto now = std::chrono::steady_clock::now();
    const auto deadline = now + settings()->connect.timeout;
    {
        const std::lock_guard lock{state_mutex_};
        starters_.push_back(std::move(done));
    }
    {
        const guarded_machine::entry core{machine_};
        core->start(now, deadline, decided);
    }
    carry_out(decided);
}

void pool_impl::close(std::chrono::milliseconds grace, completion done) {
    core::actions decided;
    {
        const std::lock_guard lock{state_mutex_};
        closers_.push_back(std::move(done));
        decided.finished = finished_;
    }
    {
        const guarded_machine::entry core{machine_};
        core->close(core::after(std::chrono::steady_clock::now(), grace), decided);
    }
    abort_dials();
    carry_out(decided);
}

void pool_impl::abort_dials() noexcept {
    closing_ = true;  // before the abort: a dial that is carried out meanwhile sees it, or is aborted with the rest
    if (dialer_) {
        dialer_->abort();
    }
}

void pool_impl::abandon() noexcept {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->close(core::never, decided);
        if (core->held() > 0) {
            while_lent_out_ = shared_from_this();
        }
    }
    abort_dials();
    carry_out(decided);
}

void pool_impl::shutdown() noexcept {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->close(core::never, decided);
    }
    timer_.retire();
    dialer_.reset();
    while (!decided.settled.empty()) {
        auto& op = static_cast<acquire_operation&>(decided.settled.front());
        decided.settled.pop_front();
        op.caller.drop(op);
    }
    std::vector<completion> dropped;
    const std::lock_guard lock{state_mutex_};
    work_ = boost::asio::any_io_executor{};
    dropped.swap(starters_);
    for (auto& one : closers_) {
        dropped.push_back(std::move(one));
    }
    closers_.clear();
}

void pool_impl::reconfigure(pool_settings settings) {
    const std::lock_guard one_at_a_time{reconfigure_mutex_};
    auto next = checked(std::move(settings));
    auto where = std::make_shared<const pg::conninfo>(pg::parse_conninfo(next->connect));
    bool replace = false;
    {
        const std::lock_guard lock{state_mutex_};
        replace = !same_sessions(settings_->connect, next->connect);
        settings_ = next;
        acquire_timeout_.store(next->acquire.timeout.count(), std::memory_order_relaxed);
        where_ = std::move(where);
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->reconfigure(limits_of(*next), replace, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::rotate() {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->rotate(decided);
    }
    carry_out(decided);
}

pool_stats pool_impl::stats() const noexcept {
    pool_stats all;
    static_cast<pool_counts&>(all) = machine_.counts();
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
