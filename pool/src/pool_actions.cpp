// What the core has decided, carried out: under no lock.
#include "pool_impl.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace trunkline::detail {

namespace {

namespace asio = boost::asio;

core::dial_failure kind_of(const error_code& code) {
    if (code == pool_errc::closed) {
        return core::dial_failure::aborted;
    }
    return code == errc::login_refused ? core::dial_failure::refused : core::dial_failure::transient;
}

const char* text_of(core::leave_reason why) {
    switch (why) {
    case core::leave_reason::none: break;
    case core::leave_reason::lost: return "lost";
    case core::leave_reason::idle: return "nobody used it";
    case core::leave_reason::old: return "its lifetime is over";
    case core::leave_reason::retired: return "replaced";
    case core::leave_reason::surplus: return "size.max was lowered";
    case core::leave_reason::discarded: return "a lease left it in a state not worth mending";
    case core::leave_reason::shutdown: return "the pool is closed";
    }
    return "no reason";
}

}  // namespace

void pool_impl::carry_out(core::actions& decided) {
    tell(decided.settled);
    for (const auto& [kind, target, reason] : decided.commands) {
        switch (kind) {
        case core::command_kind::dial: dial(*target); break;
        case core::command_kind::reset: roll_back(*target); break;
        case core::command_kind::close: close_connection(*target, reason); break;
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

void pool_impl::tell(core::waiter_list& settled) {
    std::shared_ptr<const refusal> why;
    while (!settled.empty()) {
        auto& op = static_cast<acquire_operation&>(settled.front());
        settled.pop_front();
        if (op.result != core::outcome::granted) {
            if (!why) {
                why = std::make_shared<const refusal>(refusal{machine_.counts(), last_connect_error()});
            }
            op.why = why;
        }
        op.caller.tell(op);  // `op` may be gone when this returns
    }
}

void pool_impl::arm(core::time_point wake) {
    if (timer_.wakes_later_than(wake)) {
        timer_.arm(wake, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->on_timer();
            }
        });
    }
}

void pool_impl::on_timer() {
    timer_.rearm();
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->tick(std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::on_warmed(core::warm_up how) {
    std::vector<completion> told;
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

void pool_impl::on_finished() {
    timer_.stop();
    std::vector<completion> told;
    {
        const std::lock_guard lock{state_mutex_};
        finished_ = true;
        work_ = asio::any_io_executor{};
        told.swap(closers_);
    }
    complete(told, {});
}

void pool_impl::complete(std::vector<completion>& which, error_code code) {
    for (auto& done : which) {
        asio::post(executor_, [done = std::move(done), code]() mutable {
            const auto executor =
                asio::prefer(asio::get_associated_executor(done), asio::execution::outstanding_work.tracked);
            asio::dispatch(executor, [done = std::move(done), code]() mutable { std::move(done)(code); });
        });
    }
}

void pool_impl::dial(core::slot& s) {
    std::shared_ptr<const pg::conninfo> where;
    std::chrono::milliseconds timeout{};
    {
        const std::lock_guard lock{state_mutex_};
        where = where_;
        timeout = settings_->connect.timeout;
    }
    // The dialer's thread hands its reference on with the post: were it the last, it would join itself.
    auto done = [self = shared_from_this(), &s, began = std::chrono::steady_clock::now()](pg::dialed what) mutable {
        auto& executor = self->executor_;
        asio::post(executor, [self = std::move(self), &s, began, what = std::move(what)]() mutable {
            self->on_dialed(s, began, std::move(what));
        });
    };
    try {
        dialer_->dial(std::move(where), timeout, std::move(done));
    } catch (const std::exception& failed) {  // no descriptor or no thread left
        refuse_later(s, failed);
    }
    if (closing_) {
        dialer_->abort();
    }
}

void pool_impl::refuse_later(core::slot& s, const std::exception& why) {
    pg::dialed refused;
    refused.code = pool_errc::connect_failed;
    refused.said.message = why.what();
    asio::post(executor_, [self = shared_from_this(), &s, refused = std::move(refused)]() mutable {
        self->on_refused(s, std::move(refused));
    });
}

void pool_impl::on_dialed(core::slot& s, core::time_point began, pg::dialed what) {
    if (what.code) {
        on_refused(s, std::move(what));
    } else {
        on_open(s, began, std::move(what.connection));
    }
}

void pool_impl::on_open(core::slot& s, core::time_point began, pg::connection_handle opened) {
    const auto now = std::chrono::steady_clock::now();
    dials_.record(now - began);
    std::uint64_t serial = 0;
    std::string name;
    {
        const std::lock_guard lock{state_mutex_};
        serial = ++serials_;
        last_connect_error_.reset();
        name = settings_->name;
    }
    auto fresh = std::make_unique<pooled_connection>(*this, s, serial);
    pg::session::events events{
        .lost =
            [weak = weak_from_this(), &s, serial](const error_code& code, const diagnostics& said) {
                if (const auto self = weak.lock()) {
                    self->on_lost(s, serial, code, said);
                }
            },
        .log = hooks_.log,
        .pool = std::move(name),
    };
    try {
        fresh->adopt(pg::session::open(executor_, std::move(opened), std::move(events)));
    } catch (const boost::system::system_error& failed) {  // no descriptor left
        pg::dialed refused;
        refused.code = failed.code();
        refused.said.message = failed.what();
        on_refused(s, std::move(refused));
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        auto& c = *fresh.release();
        s.connection = &c;
        core->opened(s, now, decided);
        if (c.session().state() ==
            pg::session_state::broken) {  // it broke before the slot knew it: `on_lost` found nothing
            core->lost(s, decided);
        }
    }
    carry_out(decided);
}

void pool_impl::on_refused(core::slot& s, pg::dialed what) {
    const auto kind = kind_of(what.code);
    const auto now = std::chrono::steady_clock::now();
    if (kind != core::dial_failure::aborted) {
        log(kind == core::dial_failure::refused ? log_level::error : log_level::warning,
            "cannot connect: " + what.said.message);
        auto failure = std::make_shared<const connect_failure>(
            connect_failure{what.code, std::move(what.said.message), std::move(what.said.sqlstate), now});
        const std::lock_guard lock{state_mutex_};
        last_connect_error_ = std::move(failure);
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->open_failed(s, kind, now, decided);
    }
    carry_out(decided);
}

void pool_impl::roll_back(core::slot& s) {
    auto& c = *static_cast<pooled_connection*>(s.connection);
    c.cleaning.sql = "ROLLBACK";
    c.cleaning.values = nullptr;
    c.cleaning.of = &c;
    c.cleaning.complete = [](pg::operation& done) {
        auto& of = *static_cast<pooled_connection::rollback&>(done).of;
        of.owner().on_rolled_back(of, !done.code && of.session().state() == pg::session_state::clean);
    };
    c.cleaning.drop = [](pg::operation& done) noexcept {
        auto& of = *static_cast<pooled_connection::rollback&>(done).of;
        of.owner().drop_rollback(of);
    };
    c.session().start(c.cleaning);
}

void pool_impl::on_rolled_back(pooled_connection& c, bool well) {
    (void)c.session().take_first_use();  // the pool's own use is nobody's lease
    core::actions decided;
    std::shared_ptr<pool_impl> self;
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        core::slot& s = c.place();
        if (s.state == core::slot_state::vacant) {
            gone.reset(&c);
            s.connection = nullptr;
        }
        core->reset_done(s, well, decided);
        self = kept_for(*core, decided);
    }
    if (self) {
        carry_out(decided);
    }
}

/// The execution context goes away with a rollback under way: nothing is left to carry out.
void pool_impl::drop_rollback(pooled_connection& c) noexcept {
    core::actions decided;
    std::shared_ptr<pool_impl> self;
    const guarded_machine::entry core{machine_};
    core->reset_done(c.place(), false, decided);
    if (core->held() == 0) {
        self = std::move(while_lent_out_);
    }
}

void pool_impl::close_connection(core::slot& s, core::leave_reason why) {
    auto& c = *static_cast<pooled_connection*>(s.connection);
    log(why == core::leave_reason::lost || why == core::leave_reason::discarded ? log_level::warning : log_level::debug,
        "connection of backend " + std::to_string(c.session().backend_pid()) + " closed: " + text_of(why));
    c.session().close(pool_errc::closed, [self = shared_from_this(), &s] { self->on_closed(s); });
}

void pool_impl::on_lost(core::slot& s, std::uint64_t serial, const error_code& code, const diagnostics& said) {
    log(log_level::warning, "connection lost: " + (said.message.empty() ? code.message() : said.message));
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        const auto* c = static_cast<const pooled_connection*>(s.connection);
        if (c != nullptr && c->serial() == serial) {  // else the slot serves another by now
            core->lost(s, decided);
        }
    }
    carry_out(decided);
}

void pool_impl::on_closed(core::slot& s) {
    core::actions decided;
    std::unique_ptr<pooled_connection> gone;
    {
        const guarded_machine::entry core{machine_};
        if (!s.lent_out && !s.rolling_back) {  // else the end of that is its end
            gone.reset(static_cast<pooled_connection*>(s.connection));
            s.connection = nullptr;
        }
        core->closed(s, decided);
    }
    carry_out(decided);
}

void pool_impl::log(log_level level, const std::string& message) const noexcept {
    if (!hooks_.log) {
        return;
    }
    try {
        const auto current = settings();
        hooks_.log({level, current->name, message});
    } catch (...) {  // a log that fails must not take the pool with it: promised in log.hpp
    }
}

}  // namespace trunkline::detail
