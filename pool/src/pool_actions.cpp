// What the core has decided, carried out: under no lock.
#include "pool_impl.hpp"

#include <new>
#include <utility>

namespace trunkline::detail {

namespace {

const char* text_of(core::leave_reason why) {
    switch (why) {
    case core::leave_reason::none: break;
    case core::leave_reason::lost: return "lost";
    case core::leave_reason::idle: return "nobody used it";
    case core::leave_reason::old: return "its lifetime is over";
    case core::leave_reason::worn: return "it was lent often enough";
    case core::leave_reason::retired: return "replaced";
    case core::leave_reason::surplus: return "size.max was lowered";
    case core::leave_reason::discarded: return "a lease left it in a state not worth mending";
    case core::leave_reason::invalid: return "it gave no sign of life, or a hook refused it";
    case core::leave_reason::unprepared: return "it could not be prepared";
    case core::leave_reason::expired: return "its lease lasted longer than lease.timeout";
    case core::leave_reason::shutdown: return "the pool is closed";
    }
    return "no reason";
}

bool is_worth_a_warning(core::leave_reason why) {
    return why == core::leave_reason::lost || why == core::leave_reason::discarded ||
           why == core::leave_reason::invalid || why == core::leave_reason::unprepared ||
           why == core::leave_reason::expired;
}

}  // namespace

void pool_impl::carry_out(core::actions& decided) noexcept {
    if (decided.closes) {
        abort_dials();
    }
    tell(decided.settled);
    for (const core::command& next : decided.commands) {
        try {
            carry_out(next);
        } catch (const std::exception& failed) {
            on_failed(next, failed);
        }
    }
    arm(decided.wake);
    if (decided.warmed != core::warm_up::no_news) {
        on_warmed(decided.warmed);
    }
    if (decided.finished) {
        on_finished();
    }
}

void pool_impl::carry_out(const core::command& next) {
    switch (next.kind) {
    case core::command_kind::dial: dial(*next.target); break;
    case core::command_kind::work: work(*next.target, next.doing); break;
    case core::command_kind::close: close_connection(*next.target, next.reason); break;
    case core::command_kind::report_leak: report_leak(*next.target); break;
    }
}

/// There was no memory, no descriptor or no thread for `what`. The core must hear of each command's end: a slot whose
/// command is forgotten is lost.
void pool_impl::on_failed(const core::command& what, const std::exception& why) noexcept {
    auto& s = *what.target;
    switch (what.kind) {
    case core::command_kind::dial: {
        pg::dialed refused;
        refused.code = pool_errc::connect_failed;
        try {
            refused.said.message = why.what();
        } catch (const std::bad_alloc&) {
            // Then without words.
        }
        on_refused(s, std::move(refused));
        break;
    }
    case core::command_kind::work:
        finish_task(*static_cast<pooled_connection*>(s.connection), core::verdict::bad);
        break;
    case core::command_kind::close: {
        core::actions decided;
        {
            const guarded_machine::entry core{machine_};
            core->put_off(what, decided);
        }
        arm(decided.wake);
        break;
    }
    case core::command_kind::report_leak: break;
    }
}

/// What those who got no connection are told; null if there is no memory for it.
boost::intrusive_ptr<const refusal> pool_impl::refusal_now() const noexcept {
    try {
        return new refusal{counts(), last_connect_error()};
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void pool_impl::tell(core::waiter_list& settled) noexcept {
    boost::intrusive_ptr<const refusal> why;
    while (!settled.empty()) {
        auto& op = static_cast<acquire_operation&>(settled.front());
        settled.pop_front();
        if (op.result != core::outcome::granted) {
            if (!why) {
                why = refusal_now();
            }
            op.why = why;
        }
        op.tell();  // `op` may be gone when this returns
    }
}

void pool_impl::arm(core::time_point wake) noexcept {
    if (timer_.wakes_later_than(wake)) {
        timer_.arm(wake, [weak = weak_from_this()](const error_code& ended) {
            const auto self = weak.lock();
            if (!self) {
                return;
            }
            if (!ended) {
                self->timer_.rearm();
            } else if (self->timer_.is_armed()) {
                return;
            }
            self->on_timer();
        });
    }
}

void pool_impl::on_timer() noexcept {
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->tick(std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::on_warmed(core::warm_up how) noexcept {
    endings told;
    error_code code;
    {
        const std::lock_guard lock{state_mutex_};
        told.swap(starters_);
        if (how == core::warm_up::failed && closing_) {
            code = pool_errc::closed;
        } else if (how == core::warm_up::failed) {
            code = last_connect_error_ ? last_connect_error_->code : make_error_code(pool_errc::connect_timeout);
        }
    }
    complete(told, code);
}

void pool_impl::on_finished() noexcept {
    timer_.stop();
    endings told;
    {
        const std::lock_guard lock{state_mutex_};
        finished_ = true;
        work_ = boost::asio::any_io_executor{};
        told.swap(closers_);
    }
    complete(told, {});
}

void pool_impl::complete(endings& which, const error_code& code) noexcept {
    while (!which.empty()) {
        ending& done = which.front();
        which.pop_front();
        done.code = code;
        done.sleeper.try_post();  // `done` may be gone when this returns
    }
}

void pool_impl::close_connection(core::slot& s, core::leave_reason why) {
    auto& c = *static_cast<pooled_connection*>(s.connection);
    log(is_worth_a_warning(why) ? log_level::warning : log_level::debug, [&] {
        return "connection of backend " + std::to_string(c.session().backend_pid()) + " closed: " + text_of(why);
    });
    std::shared_ptr<hook_run> hook;
    bool overdue = false;
    {
        const guarded_machine::entry core{machine_};
        hook = c.hook;
        overdue = s.in_task;
    }
    if (overdue && why == core::leave_reason::unprepared) {
        note_unprepared("it took longer than hooks.on_connect_timeout, or than connect.timeout with the dial");
    }
    if (hook) {
        hook->cancel();
    }
    c.session().close(why == core::leave_reason::expired ? pool_errc::lease_expired : pool_errc::closed,
                      [self = shared_from_this(), &s] { self->on_closed(s); });
}

void pool_impl::on_lost(core::slot& s, std::uint64_t serial, const error_code& code, const diagnostics& said) {
    log(log_level::warning,
        [&] { return "connection lost: " + (said.message.empty() ? code.message() : said.message); });
    const bool server_ends = code == sqlstate::admin_shutdown || code == sqlstate::crash_shutdown;
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        const auto* c = static_cast<const pooled_connection*>(s.connection);
        if (c != nullptr && c->serial() == serial) {  // else the slot serves another by now
            core->lost(s, server_ends, std::chrono::steady_clock::now(), decided);
        }
    }
    carry_out(decided);
}

void pool_impl::on_closed(core::slot& s) {
    core::actions decided;
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        if (!s.lent_out && !s.in_task) {  // else the end of that is its end
            gone.reset(static_cast<pooled_connection*>(s.connection));
            s.connection = nullptr;
        }
        core->closed(s, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

std::string pool_impl::place_text(const pooled_connection& c) {
    return std::string{c.lent_to.file.load(std::memory_order_relaxed)} + ":" +
           std::to_string(c.lent_to.line.load(std::memory_order_relaxed));
}

void pool_impl::report_leak(core::slot& s) {
    std::string place;
    int pid = 0;
    {
        const guarded_machine::entry core{machine_};
        auto* const c = static_cast<pooled_connection*>(s.connection);
        if (c == nullptr || !s.lent_out) {  // it has come back since
            return;
        }
        c->leak_reported.store(true, std::memory_order_relaxed);
        place = place_text(*c);
        pid = c->session().backend_pid();
    }
    constexpr std::size_t most_told = 10;
    const auto all = holders();
    auto message = "the lease acquired at " + place + " (backend " + std::to_string(pid) +
                   ") has been out for longer than " + std::to_string(settings()->lease.leak_threshold.count()) +
                   " ms; leases out: " + std::to_string(all.size());
    for (std::size_t i = 0; i < all.size() && i < most_told; ++i) {
        message += std::string{i == 0 ? ", acquired at " : ", "} + all[i].file + ":" + std::to_string(all[i].line);
    }
    log(log_level::warning, [&] { return message; });
}

}  // namespace trunkline::detail
