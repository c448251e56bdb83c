// Dials: what the core asked for, and what became of it.
#include "pool_impl.hpp"
#include "pool_limits.hpp"
#include "resumption/context_threads.hpp"
#include "resumption/resume_scope.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <thread>
#include <utility>

namespace trunkline::detail {

namespace {

namespace asio = boost::asio;

/// libpq has no code for TLS that does not fit, and no retry mends it. Its words, untranslated or not recognised, make it
/// a failure of the network, which costs nothing but quicker retries.
bool blames_tls(const std::string& message) {
    for (const char* const words : {"does not support SSL", "certificate verify failed", "root certificate file"}) {
        if (message.find(words) != std::string::npos) {
            return true;
        }
    }
    return false;
}

core::dial_failure kind_of(const pg::dialed& what) {
    if (what.code == pool_errc::closed) {
        return core::dial_failure::aborted;
    }
    if (what.code == sqlstate::invalid_catalog_name || blames_tls(what.said.message)) {
        return core::dial_failure::misconfigured;
    }
    if (what.code == errc::login_refused) {
        return core::dial_failure::refused;
    }
    if (what.code == sqlstate::cannot_connect_now) {
        return core::dial_failure::starting;
    }
    return what.code.category() == sqlstate_category() && what.code == errc::overloaded ? core::dial_failure::full
                                                                                        : core::dial_failure::transient;
}

/// The context of that executor, of whose handlers this is one, if one thread alone runs it; else null.
const asio::io_context* lone_context(const asio::any_io_executor& executor) noexcept {
    const auto* const known = executor.target<asio::io_context::executor_type>();
    if (known == nullptr) {
        return nullptr;
    }
    try {
        auto& context = known->context();
        return asio::use_service<context_threads>(context).is_single() ? &context : nullptr;
    } catch (const std::bad_alloc&) {  // for the service, the first time
        return nullptr;
    }
}

}  // namespace

void pool_impl::abort_dials() noexcept {
    closing_ = true;  // before the abort: a dial that is carried out meanwhile sees it, or is aborted with the rest
    if (dialer_) {
        try {
            dialer_->abort();
        } catch (const std::bad_alloc&) {
            // They end with their time-out.
        }
    }
}

/// A dial's outcome on its way from the dialer's thread. Made before the dial: where there is no memory for the news of a
/// connection, there must be none for the connection.
struct pool_impl::arrival {
    std::shared_ptr<pool_impl> pool;
    core::slot& place;
    core::time_point began = std::chrono::steady_clock::now();
    pg::dialed what{};

    /// On the dialer's thread, which may wait for memory: a slot without news would be lost.
    static void post(const std::shared_ptr<arrival>& news) noexcept {
        constexpr std::chrono::milliseconds pause{5};
        const auto& pool = *news->pool;
        const auto executor = pool.executor_;  // the pool may be gone before the post returns
        while (!pool.gone_) {
            try {
                asio::post(executor, [news] {
                    const auto self = std::move(news->pool);  // the dialer's thread may be the last to let go of `news`
                    self->on_dialed(news->place, news->began, std::move(news->what));
                });
                return;
            } catch (const std::exception&) {
                std::this_thread::sleep_for(pause);
            }
        }
    }
};

void pool_impl::dial(core::slot& s) {
    if (gone_) {
        return;  // the execution context is no more, and nobody dials
    }
    std::shared_ptr<const pg::conninfo> where;
    std::chrono::milliseconds timeout{};
    {
        const std::lock_guard lock{state_mutex_};
        where = where_;
        timeout = settings_->connect.timeout;
    }
    auto news = std::shared_ptr<arrival>{new arrival{shared_from_this(), s}};
    dialer_->dial(std::move(where), timeout, [news = std::move(news)](pg::dialed what) {
        news->what = std::move(what);
        arrival::post(news);
    });
    if (closing_) {
        abort_dials();
    }
}

void pool_impl::on_dialed(core::slot& s, core::time_point began, pg::dialed what) {
    // Were its waiter posted, those that are served by handlers which are ready now would go on before it.
    resume_scope woken{lone_context(executor_)};
    if (what.code) {
        on_refused(s, std::move(what));
    } else {
        on_open(s, began, std::move(what.connection));
    }
    woken.run();
}

void pool_impl::on_open(core::slot& s, core::time_point began, pg::connection_handle opened) {
    const auto now = std::chrono::steady_clock::now();
    dials_.record(now - began);
    const auto timeout = settings()->connect.timeout;
    std::unique_ptr<pooled_connection> fresh;
    try {
        fresh = adopt(s, std::move(opened));
    } catch (const std::exception& failed) {  // no descriptor or no memory left
        on_failed({core::command_kind::dial, &s}, failed);
        return;
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        auto& c = *fresh.release();
        s.connection = &c;
        core->opened(s, now, decided, core::after(began, timeout));
        if (c.session().state() ==
            pg::session_state::broken) {  // it broke before the slot knew it: `on_lost` found nothing
            core->lost(s, false, now, decided);
        }
    }
    carry_out(decided);
}

std::unique_ptr<pooled_connection> pool_impl::adopt(core::slot& s, pg::connection_handle opened) {
    std::uint64_t serial = 0;
    std::string name;
    {
        const std::lock_guard lock{state_mutex_};
        serial = ++serials_;
        if (!prepares(*settings_, hooks_)) {  // else it is not ready yet
            last_connect_error_.reset();
        }
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
        .policy = policy_,
    };
    fresh->adopt(pg::session::open(executor_, std::move(opened), std::move(events)));
    return fresh;
}

void pool_impl::on_refused(core::slot& s, pg::dialed what) noexcept {
    auto kind = core::dial_failure::transient;
    try {
        kind = kind_of(what);
        note_failure(std::move(what), kind);
    } catch (const std::bad_alloc&) {
        // Then nobody hears why.
    }
    core::actions decided;
    {
        const guarded_machine::entry core{machine_};
        core->open_failed(s, kind, std::chrono::steady_clock::now(), decided);
    }
    carry_out(decided);
}

void pool_impl::note_failure(pg::dialed what, core::dial_failure kind) {
    if (kind == core::dial_failure::aborted) {
        return;
    }
    log(core::is_final(kind) ? log_level::error : log_level::warning,
        [&] { return "cannot connect: " + what.said.message; });
    auto failure = std::make_shared<const connect_failure>(connect_failure{
        what.code, std::move(what.said.message), std::move(what.said.sqlstate), std::chrono::steady_clock::now()});
    const std::lock_guard lock{state_mutex_};
    last_connect_error_ = std::move(failure);
}

}  // namespace trunkline::detail
