#include "pool_impl.hpp"

#include "pool_limits.hpp"

#include <boost/asio/prefer.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cassert>
#include <new>
#include <random>
#include <utility>

namespace trunkline::detail {

namespace {

std::shared_ptr<const pool_settings> checked(pool_settings settings, const pool_hooks& hooks) {
    auto problems = validate(settings);
    const auto& before_acquire = settings.hooks.before_acquire_timeout;
    if (hooks.before_acquire && before_acquire && *before_acquire >= settings.acquire.timeout) {
        problems.push_back(
            {"hooks.before_acquire_timeout",
             "is not shorter than acquire.timeout, so that one slow hook could cost a caller all the time "
             "there is; lower it or raise acquire.timeout"});
    }
    try {
        (void)pg::parse_conninfo(settings.connect);
    } catch (const settings_error& unreadable) {
        problems.insert(problems.end(), unreadable.problems().begin(), unreadable.problems().end());
    }
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
    switch (c.session().end_use()) {
    case pg::left::ready: return core::returned::clean;
    case pg::left::unclean: return core::returned::unclean;
    case pg::left::broken: break;
    }
    return core::returned::spoilt;
}

std::shared_ptr<pg::session_policy> policy_of(const pool_settings& settings, const pool_hooks& hooks) {
    auto policy = std::make_shared<pg::session_policy>();
    policy->follow(settings);
    policy->on_statement = hooks.on_statement;
    return policy;
}

}  // namespace

pool_impl::pool_impl(boost::asio::any_io_executor executor, pool_settings settings, pool_hooks hooks)
    : executor_{std::move(executor)},
      hooks_{std::move(hooks)},
      machine_{limits_of(settings, hooks_), std::random_device{}()},
      timer_{executor_},
      acquire_timeout_{settings.acquire.timeout.count()},
      reads_clock_{needs_clock(limits_of(settings, hooks_))},
      policy_{policy_of(settings, hooks_)},
      settings_{checked(std::move(settings), hooks_)},
      where_{std::make_shared<const pg::conninfo>(pg::parse_conninfo(settings_->connect))},
      work_{boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked)} {}

pool_impl::~pool_impl() {
    std::optional<guarded_machine::entry> last;  // whoever gave up the last lease may still hold the lock
    if (is_inherited()) {
        timer_.leave_to_parent();
    } else {
        last.emplace(machine_);
    }
    machine_.take_apart([](const core::machine& core) {
        for (const core::slot& s : core.slots()) {
            delete static_cast<pooled_connection*>(s.connection);
        }
    });
}

pooled_connection* pool_impl::try_acquire(const source_location& where) noexcept {
    if (!machine_.may_have_idle() || is_inherited()) {
        return nullptr;
    }
    core::slot* s = nullptr;
    {
        const guarded_machine::entry core{machine_};
        s = core->try_acquire();
    }
    if (s == nullptr) {
        return nullptr;
    }
    auto& c = *static_cast<pooled_connection*>(s->connection);
    if (!c.session().is_fit()) {  // it broke, or is out of step: the news of it is still on the way
        take_back(c, true);
        return nullptr;
    }
    c.set_holder(where);
    return &c;
}

void pool_impl::prepare(acquire_operation& op, const acquire_options& options) const noexcept {
    const std::chrono::milliseconds usual{acquire_timeout_.load(std::memory_order_relaxed)};
    op.since = std::chrono::steady_clock::now();
    op.deadline = core::after(op.since, options.timeout.count() > 0 ? options.timeout : usual);
    if (options.holding != nullptr) {
        op.holds = place_of(*options.holding);
    }
}

core::slot* pool_impl::place_of(const lease& held) const noexcept {
    auto* const c = held.connection_;
    return c != nullptr && &c->owner() == this ? &c->place() : nullptr;
}

void pool_impl::wait(acquire_operation& op) noexcept {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core::slot* s = core->try_acquire();  // one may have come back since the caller looked
        if (s != nullptr && !static_cast<pooled_connection*>(s->connection)->session().is_fit()) {
            core->release(*s, core::returned::spoilt, op.since, decided);
            s = nullptr;
        }
        if (s != nullptr) {
            op.granted = s;
            op.result = core::outcome::granted;
            decided.settled.push_back(op);
        } else {
            core->wait(op, op.since, decided);
        }
    }
    carry_out(decided);
}

void pool_impl::cancel(acquire_operation& op) noexcept {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->cancel(op, decided, std::chrono::steady_clock::now());
    }
    carry_out(decided);
}

pooled_connection& pool_impl::granted(acquire_operation& op, const source_location& where) noexcept {
    assert(op.result == core::outcome::granted);
    auto& lent = *static_cast<pooled_connection*>(op.granted->connection);
    lent.set_holder(where);
    lent.lent_at = std::chrono::steady_clock::now();
    waits_.record(lent.lent_at - op.since);
    return lent;
}

void pool_impl::count_wait(core::time_point since) noexcept { waits_.record(std::chrono::steady_clock::now() - since); }

void pool_impl::take_back(pooled_connection& c, bool discard) noexcept {
    if (is_inherited()) {
        return;  // the parent has the same lease
    }
    const auto how = left_as(c, discard);
    auto now = core::never;
    if (const auto first_used = c.session().take_first_use()) {  // a lease that ran nothing reads no clock
        now = std::chrono::steady_clock::now();
        uses_.record(now - std::min(c.lent_at, *first_used));
    } else if (how != core::returned::clean || reads_clock_.load(std::memory_order_relaxed)) {
        now = std::chrono::steady_clock::now();
    }
    c.lent_at = core::never;
    if (c.leak_reported.exchange(false, std::memory_order_relaxed)) {
        log(log_level::warning,
            [&] { return "the lease acquired at " + place_text(c) + ", reported as a leak, has come back"; });
    }

    core::actions decided;
    std::shared_ptr<pool_impl> self;  // let go of after everything else: it may be the last
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        core::slot& s = c.place();
        if (s.state == core::slot_state::vacant && !s.in_task) {
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

void pool_impl::let_go(pooled_connection& c) noexcept {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    std::shared_ptr<pool_impl> self;
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        core::slot& s = c.place();
        if (s.state == core::slot_state::leased || s.state == core::slot_state::vacant) {
            gone.reset(&c);
            s.connection = nullptr;
        }  // else it is being closed underneath, and that ends it
        core->detach(s, std::chrono::steady_clock::now(), decided);
        self = kept_for(*core, decided);
    }
    if (self) {
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

void pool_impl::start(ending& done) noexcept {
    core::actions decided;
    const auto now = std::chrono::steady_clock::now();
    const auto by = settings();
    const auto policy = by->recovery.start;
    const auto given = by->recovery.start_timeout;
    const auto deadline = policy == start_policy::lazy || (policy == start_policy::wait && given.count() == 0)
                              ? core::never
                              : core::after(now, given.count() > 0 ? given : by->connect.timeout);
    endings at_once;
    {
        const std::lock_guard lock{state_mutex_};
        (policy == start_policy::lazy ? at_once : starters_).push_back(done);
    }
    {
        const guarded_machine::entry core{machine_};
        if (policy != start_policy::fail_fast) {
            core->be_patient();
        }
        core->start(now, deadline, decided);
    }
    carry_out(decided);
    complete(at_once, {});
}

core::time_point pool_impl::drain() noexcept {
    const auto at = core::after(std::chrono::steady_clock::now(), settings()->close.preclose_delay);
    auto first = core::never.time_since_epoch().count();
    if (closes_at_.compare_exchange_strong(first, at.time_since_epoch().count())) {
        return at;
    }
    return core::time_point{core::time_point::duration{first}};
}

/// One operation with the close: a coroutine that is cancelled between two operations does not reach the second.
void pool_impl::close_at(core::time_point when, std::chrono::milliseconds grace, ending& done) noexcept {
    bool finished = false;
    {
        const std::lock_guard lock{state_mutex_};
        closers_.push_back(done);
        finished = finished_;
    }
    if (finished) {
        on_finished();
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->announce_close(when, grace, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::abandon() noexcept {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->close(core::never, std::chrono::steady_clock::now(), decided);
        if (core->held() > 0) {
            while_lent_out_ = shared_from_this();
        }
    }
    carry_out(decided);
}

void pool_impl::shutdown() noexcept {
    if (is_inherited()) {
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->close(core::never, std::chrono::steady_clock::now(), decided);
    }
    gone_ = true;
    timer_.retire();
    dialer_.reset();
    while (!decided.settled.empty()) {
        auto& op = static_cast<acquire_operation&>(decided.settled.front());
        decided.settled.pop_front();
        op.drop();
    }
    endings dropped;
    {
        const std::lock_guard lock{state_mutex_};
        work_ = boost::asio::any_io_executor{};
        dropped.swap(starters_);
        dropped.splice_after(dropped.last(), closers_);
    }
    while (!dropped.empty()) {
        ending& one = dropped.front();
        dropped.pop_front();
        one.sleeper.drop();
    }
}

void pool_impl::reconfigure(pool_settings settings) {
    if (is_inherited()) {
        return;
    }
    std::unique_lock one_at_a_time{reconfigure_mutex_};
    auto next = checked(std::move(settings), hooks_);
    auto where = std::make_shared<const pg::conninfo>(pg::parse_conninfo(next->connect));
    bool replace = false;
    {
        const std::lock_guard lock{state_mutex_};
        replace = !same_sessions(settings_->connect, next->connect);
        settings_ = next;
        acquire_timeout_.store(next->acquire.timeout.count(), std::memory_order_relaxed);
        where_ = std::move(where);
    }
    const auto by = limits_of(*next, hooks_);
    reads_clock_.store(needs_clock(by), std::memory_order_relaxed);
    policy_->follow(*next);
    if (replace) {
        policy_->behind_pooler = false;  // the next connection tells
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->reconfigure(by, replace, std::chrono::steady_clock::now(), decided);
        if (!next->size.automatic) {
            core->cap(static_cast<std::size_t>(-1), std::chrono::steady_clock::now(), decided);
        }
    }
    one_at_a_time.unlock();  // what is carried out is logged, and the program's log handler may reconfigure
    carry_out(decided);
}

}  // namespace trunkline::detail
