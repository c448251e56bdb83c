// Tasks: what is done with a connection that nobody holds. The core has set its deadline and closes the connection when
// that passes; here a task only has to end, some time.
#include "pool_impl.hpp"

#include <new>
#include <utility>

namespace trunkline::detail {

namespace {

constexpr const char* sign_of_life = "";  // an empty statement: one round trip, and no transaction
constexpr const char* server_limits =
    "SELECT current_setting('max_connections')::int4 - current_setting('superuser_reserved_connections')::int4 - "
    "coalesce(current_setting('reserved_connections', true), '0')::int4";

// A statement's preparation waits for the locks of its tables, which a migration may hold for long; and while it waits it
// holds those of the others. So it ends before the server looks for deadlocks (deadlock_timeout, 1 s).
constexpr std::chrono::milliseconds longest_warming{500};

core::verdict verdict_of(core::task doing, hook_outcome how) noexcept {
    switch (how) {
    case hook_outcome::keep: return core::verdict::good;
    case hook_outcome::discard: return core::verdict::bad;
    case hook_outcome::retry_another:
        return doing == core::task::check ? core::verdict::elsewhere : core::verdict::good;
    case hook_outcome::fail_acquire: return doing == core::task::check ? core::verdict::refused : core::verdict::bad;
    }
    return core::verdict::bad;
}

}  // namespace

void pool_impl::work(core::slot& s, core::task doing) {
    auto& c = *static_cast<pooled_connection*>(s.connection);
    switch (doing) {
    case core::task::none: break;
    case core::task::prepare:
        if (settings()->size.automatic) {
            run_errand(c, server_limits);
        } else {
            warm_up(c);
        }
        break;
    case core::task::check:
        if (s.stale) {
            run_errand(c, sign_of_life);
        } else {
            go_on(c, doing);
        }
        break;
    case core::task::keepalive: run_errand(c, sign_of_life); break;
    case core::task::clean: mend(c); break;
    case core::task::farewell: go_on(c, doing); break;
    }
}

pg::operation& pool_impl::errand_for(pooled_connection& c, const char* sql) {
    c.errand.sql = sql;
    c.errand.values = nullptr;
    c.errand.warms = false;
    c.errand.is_pools = true;
    c.errand.timeout = std::chrono::milliseconds{0};
    c.errand.of = &c;
    c.errand.complete = [](pg::operation& done) {
        auto& of = *static_cast<pooled_connection::chore&>(done).of;
        of.owner().on_errand_done(of);
    };
    c.errand.drop = [](pg::operation& done) noexcept {
        auto& of = *static_cast<pooled_connection::chore&>(done).of;
        of.owner().on_errand_dropped(of);
    };
    return c.errand;
}

void pool_impl::run_errand(pooled_connection& c, const char* sql) { c.session().start(errand_for(c, sql)); }

/// Prepares the statements that the pool uses most.
void pool_impl::warm_up(pooled_connection& c) {
    bool any = false;
    try {
        any = !policy_->statements_to_warm().empty();
    } catch (const std::bad_alloc&) {
        // Then each is prepared when it is used.
    }
    if (any) {
        auto& errand = errand_for(c, "");
        errand.warms = true;
        errand.timeout = longest_warming;
        c.session().start(errand);
    } else {
        go_on(c, core::task::prepare);
    }
}

void pool_impl::mend(pooled_connection& c) {
    if (c.session().is_fit()) {
        go_on(c, core::task::clean);
    } else {
        c.session().mend(errand_for(c, ""));
    }
}

void pool_impl::on_errand_done(pooled_connection& c) {
    (void)c.session().take_first_use();  // the pool's own use is nobody's lease
    const auto doing = task_of(c);
    if (doing == core::task::prepare) {
        on_prepared(c);
        return;
    }
    const bool well = !c.errand.code && c.session().is_fit();
    c.errand.rows = result{};
    if (well) {
        go_on(c, doing);
    } else {
        finish_task(c, core::verdict::bad);
    }
}

/// A part of what is done for a new connection has ended: the question for limits, the statements, or their end.
void pool_impl::on_prepared(pooled_connection& c) {
    const bool warmed = std::exchange(c.errand.warms, false);
    const bool well = !c.errand.code && c.session().is_fit();
    if (warmed && !well && c.session().state() != pg::session_state::broken) {
        auto& rest = errand_for(c, "");  // it took too long: without those statements, then
        c.errand.is_mended = true;
        c.session().mend(rest);
        return;
    }
    const bool told_limits = !warmed && !std::exchange(c.errand.is_mended, false);
    if (well && told_limits) {
        take_server_limits(c.errand.rows);
    }
    c.errand.rows = result{};
    if (well && told_limits) {
        warm_up(c);
    } else if (well) {
        go_on(c, core::task::prepare);
    } else {
        note_unprepared(told_limits ? "the server did not tell its limits"
                                    : "it was lost while it prepared its statements");
        finish_task(c, core::verdict::bad);
    }
}

/// The pool's own part of the task is done: now the program's.
void pool_impl::go_on(pooled_connection& c, core::task doing) {
    const connection_hook* hook = nullptr;
    switch (doing) {
    case core::task::none: break;
    case core::task::prepare: hook = &hooks_.on_connect; break;
    case core::task::check: hook = &hooks_.before_acquire; break;
    case core::task::keepalive: break;
    case core::task::clean: hook = &hooks_.after_release; break;
    case core::task::farewell: hook = &hooks_.before_close; break;
    }
    if (hook != nullptr && *hook) {
        run_hook(c, *hook);
    } else {
        if (doing == core::task::prepare) {
            forget_failure();
        }
        finish_task(c, core::verdict::good);
    }
}

void pool_impl::run_hook(pooled_connection& c, const connection_hook& hook) {
    std::shared_ptr<hook_run> run;
    try {
        run = std::make_shared<hook_run>(executor_);
    } catch (const std::bad_alloc&) {
        finish_task(c, core::verdict::bad);
        return;
    }
    core::actions decided;
    bool counts = false;
    {
        const guarded_machine::entry core{machine_};
        counts = core->hook_begins(c.place(), std::chrono::steady_clock::now(), decided);
        if (counts) {
            c.hook = run;
        }
    }
    if (counts) {
        arm(decided.wake);
        run->start(hook, c, shared_from_this());
    } else {
        finish_task(c, core::verdict::good);
    }
}

void pool_impl::on_hook_done(pooled_connection& c, hook_outcome how, const std::string& why) {
    (void)c.session().take_first_use();
    c.forget_transactions();
    if (!why.empty()) {
        log(log_level::warning, [&] { return "a hook failed: " + why; });
    }
    const auto doing = task_of(c);
    const auto left = c.session().end_use();
    const auto verdict = left == pg::left::ready ? verdict_of(doing, how) : core::verdict::bad;
    if (doing == core::task::prepare && verdict == core::verdict::bad) {
        note_unprepared(why.empty() ? std::string_view{"on_connect refused it, or left it unclean"} : why);
    } else if (doing == core::task::prepare) {
        forget_failure();
    }
    finish_task(c, verdict);
}

void pool_impl::forget_failure() noexcept {
    const std::lock_guard lock{state_mutex_};
    last_connect_error_.reset();
}

core::task pool_impl::task_of(const pooled_connection& c) noexcept {
    const guarded_machine::entry core{machine_};
    return c.place().doing;
}

/// What `start` and those who are refused are told.
void pool_impl::note_unprepared(std::string_view why) noexcept {
    try {
        auto message = "cannot prepare a connection: " + std::string{why};
        auto failure = std::make_shared<const connect_failure>(
            connect_failure{pool_errc::connect_failed, std::move(message), {}, std::chrono::steady_clock::now()});
        const std::lock_guard lock{state_mutex_};
        last_connect_error_ = std::move(failure);
    } catch (const std::bad_alloc&) {
        // Then without words.
    }
}

void pool_impl::finish_task(pooled_connection& c, core::verdict how) {
    core::actions decided;
    std::shared_ptr<pool_impl> self;
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        core::slot& s = c.place();
        c.hook.reset();
        if (s.state == core::slot_state::vacant && !s.lent_out) {
            gone.reset(&c);
            s.connection = nullptr;
        }
        core->task_done(s, how, std::chrono::steady_clock::now(), decided);
        self = kept_for(*core, decided);
    }
    if (self) {
        carry_out(decided);
    }
}

/// The execution context goes away with a task under way: nothing is left to carry out. Or there was no memory.
void pool_impl::on_errand_dropped(pooled_connection& c) noexcept {
    if (!gone_) {
        finish_task(c, core::verdict::bad);
        return;
    }
    core::actions decided;
    std::shared_ptr<pool_impl> self;
    const guarded_machine::entry core{machine_};
    core->task_done(c.place(), core::verdict::bad, core::never, decided);
    while (!decided.settled.empty()) {  // nobody can be told any more
        decided.settled.pop_front();
    }
    if (core->held() == 0) {
        self = std::move(while_lent_out_);
    }
}

void pool_impl::on_hook_dropped(pooled_connection& c) noexcept {
    std::shared_ptr<hook_run> run;  // its strand must not outlive the context, and the pool may
    {
        const guarded_machine::entry core{machine_};
        run = std::move(c.hook);
    }
    on_errand_dropped(c);
}

void pool_impl::take_server_limits(const result& rows) {
    const auto wanted = settings()->size.automatic;
    if (!wanted || rows.size() != 1) {
        return;
    }
    const auto available = rows[0].get<std::int32_t>(0);
    const auto most =
        core::automatic_max(available > 0 ? static_cast<std::size_t>(available) : 0, wanted->share, wanted->instances);
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->cap(most, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

}  // namespace trunkline::detail
