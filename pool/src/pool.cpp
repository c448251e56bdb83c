#include "acquire.hpp"
#include "hook_run.hpp"
#include "pool_impl.hpp"
#include "pool_service.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace trunkline {

namespace asio = boost::asio;

pool::pool(asio::any_io_executor executor, pool_settings settings, pool_hooks hooks)
    : impl_{std::make_shared<detail::pool_impl>(std::move(executor), std::move(settings), std::move(hooks))} {
    detail::hook_run::be_older(impl_->executor());
    auto& context = asio::query(impl_->executor(), asio::execution::context);
    asio::use_service<detail::pool_service>(context).add(impl_);
}

pool::~pool() { impl_->abandon(); }

asio::awaitable<void> pool::start() {
    const auto impl = impl_;
    if (impl->is_inherited()) {
        throw error{pool_errc::closed, "start in the child of a fork"};
    }
    detail::pool_impl::ending warmed;
    co_await warmed.sleeper.until([&] {
        const auto keep = impl;  // the frame may be gone before `start` returns
        keep->start(warmed);
    });
    if (warmed.code) {
        throw impl->start_error(warmed.code);
    }
}

asio::awaitable<lease> pool::acquire(source_location where) { return detail::acquire_from(impl_, {}, where); }

asio::awaitable<lease> pool::acquire(acquire_options options, source_location where) {
    return detail::acquire_from(impl_, options, where);
}

std::optional<lease> pool::try_acquire(source_location where) noexcept {
    auto* const free = impl_->try_acquire(where);
    return free == nullptr ? std::nullopt : std::optional<lease>{detail::pooled_connection::lend(*free)};
}

void pool::begin_acquire(const std::shared_ptr<detail::pool_impl>& impl, acquire_options options, source_location where,
                         diagnostics* why, acquire_handler handler) {
    detail::begin_acquire(impl, options, where, why, std::move(handler));
}

asio::awaitable<result> pool::query_with(std::shared_ptr<detail::pool_impl> impl, query_options options,
                                         std::string sql, parameters values) {
    const lease borrowed = co_await detail::acquire_from(impl, {}, source_location::current());
    co_return co_await borrowed->run(options, std::move(sql), std::move(values));
}

asio::awaitable<std::vector<result>> pool::run_with(std::shared_ptr<detail::pool_impl> impl, const pipeline& statements,
                                                    pipeline_options options) {
    const lease borrowed = co_await detail::acquire_from(impl, {}, source_location::current());
    co_return co_await borrowed->run(statements, options);
}

void pool::reconfigure(pool_settings settings) { impl_->reconfigure(std::move(settings)); }

void pool::rotate() { impl_->rotate(); }

void pool::evict_all() { impl_->evict({}); }

void pool::evict(const std::function<bool(const connection_info&)>& chosen) { impl_->evict(chosen); }

void pool::suspend(suspend_options options) { impl_->suspend(options); }

void pool::resume() { impl_->resume(); }

std::vector<lease_holder> pool::holders() const { return impl_->holders(); }

pool_state pool::state() const noexcept { return impl_->state(); }

std::shared_ptr<const connect_failure> pool::last_connect_error() const { return impl_->last_connect_error(); }

asio::awaitable<void> pool::close(std::chrono::milliseconds grace) {
    const auto impl = impl_;
    if (impl->is_inherited()) {
        co_return;  // the parent closes it
    }
    const auto at = impl->drain();
    detail::pool_impl::ending closed;
    co_await closed.sleeper.until([&] {
        const auto keep = impl;  // the frame may be gone before `close_at` returns
        keep->close_at(at, grace, closed);
    });
}

pool_stats pool::stats() const noexcept { return impl_->stats(); }

pool_settings pool::settings() const { return *impl_->settings(); }

asio::any_io_executor pool::get_executor() const noexcept { return impl_->executor(); }

}  // namespace trunkline
