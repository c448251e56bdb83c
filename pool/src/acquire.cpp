#include "acquire.hpp"

#include "pool_impl.hpp"
#include "resumption/handler_room.hpp"
#include "resumption/suspension.hpp"

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <new>

namespace trunkline::detail {

namespace {

namespace asio = boost::asio;

constexpr const char* name_in_child = "of the parent process";  // its own is behind a lock

asio::io_context* context_of(const asio::any_completion_executor& executor) noexcept {
    const auto* const known = executor.target<asio::io_context::executor_type>();
    return known == nullptr ? nullptr : &known->context();
}

/// A coroutine in the queue: a part of `acquire_from`'s frame.
struct sleeping_acquire final : acquire_operation {
    sleeping_acquire(std::shared_ptr<pool_impl> from, acquire_options options)
        : acquire_operation{kind::coroutine},
          pool{std::move(from)} {
        pool->prepare(*this, options);
    }
    /// A grant that its caller did not live to see goes on to the next.
    ~sleeping_acquire() {
        if (granted != nullptr) {
            pool->take_back(*static_cast<pooled_connection*>(granted->connection), false);
        }
    }

    /// Nothing is thrown from here: the coroutine sleeps already.
    void begin() noexcept {
        try {
            if (auto slot = sleeper.slot(); slot.is_connected()) {
                // Emitted on the coroutine's own executor, so that it cannot meet the wake-up; it may meet the grant,
                // and then the core finds `this` settled.
                slot.assign([this](asio::cancellation_type) {
                    const auto keep = pool;  // `this` may be gone before `cancel` returns
                    keep->cancel(*this);
                });
            }
        } catch (const std::bad_alloc&) {  // it could not be cancelled, and so it does not wait
            sleeper.try_post();
            return;
        }
        const auto keep = pool;  // `this` may be gone before `wait` returns
        keep->wait(*this);
    }

    lease take(const source_location& where) noexcept {
        auto& lent = pool->granted(*this, where);
        granted = nullptr;
        return pooled_connection::lend(lent);
    }

    [[noreturn]] void refuse() {
        if (result == core::outcome::pending) {
            throw std::bad_alloc{};
        }
        pool->count_wait(since);
        if (result == core::outcome::cancelled) {
            throw error{asio::error::operation_aborted, "acquire"};
        }
        throw acquire_error{reason_of(result), pool->settings()->name, std::chrono::steady_clock::now() - since,
                            why ? why->counts : pool_counts{}, why ? why->last : nullptr};
    }

    const std::shared_ptr<pool_impl> pool;  // the pool object may go away while we wait
    suspension sleeper;
};

// What a parked caller costs the pool; the rest of what it takes is its own coroutines' frames.
static_assert(sizeof(sleeping_acquire) <= 256);

/// A callback in the queue: a block of its own, from the handler's allocator.
struct waiting_callback final : acquire_operation {
    using allocator = asio::associated_allocator_t<acquire_handler>;
    using own_allocator = std::allocator_traits<allocator>::rebind_alloc<waiting_callback>;
    using node_room = handler_room<40>;  // an io_context's node for one pointer

    waiting_callback(std::shared_ptr<pool_impl> from, acquire_handler whom, asio::any_completion_executor on,
                     asio::io_context* of, acquire_options options, source_location from_where,
                     diagnostics* into) noexcept
        : acquire_operation{kind::callback},
          pool{std::move(from)},
          handler{std::move(whom)},
          executor{std::move(on)},
          context{of},
          story{into},
          where{from_where} {
        pool->prepare(*this, options);
    }

    static waiting_callback& make(std::shared_ptr<pool_impl> from, acquire_handler whom, acquire_options options,
                                  source_location where, diagnostics* into) {
        const auto on = asio::get_associated_executor(whom, from->executor());
        if (!on) {  // what Asio says where it has no memory for it
            throw std::bad_alloc{};
        }
        auto busy = asio::prefer(on, asio::execution::outstanding_work.tracked);
        own_allocator memory{asio::get_associated_allocator(whom)};
        auto* const block = std::allocator_traits<own_allocator>::allocate(memory, 1);  // from here nothing throws
        return *std::construct_at(block, std::move(from), std::move(whom), std::move(busy), context_of(on), options,
                                  where, into);
    }

    /// The allocator belongs to the handler, so that the handler must outlive the block.
    static acquire_handler dismantle(waiting_callback& op) noexcept {
        auto whom = std::move(op.handler);
        own_allocator memory{asio::get_associated_allocator(whom)};
        std::destroy_at(&op);
        std::allocator_traits<own_allocator>::deallocate(memory, &op, 1);
        return whom;
    }

    static void destroy(waiting_callback& op) noexcept { [[maybe_unused]] const auto dropped = dismantle(op); }

    /// Destroys the block, granted or not, should the executor drop it.
    struct deleter {
        void operator()(waiting_callback* op) const noexcept { destroy(*op); }
    };

    /// Without memory for it the callback is dropped.
    static void post(waiting_callback& op) noexcept {
        try {
            post_or_throw(op);
        } catch (const std::bad_alloc&) {
            // What it was granted has gone on to the next.
        }
    }

    static void post_or_throw(waiting_callback& op) {
        if (op.context != nullptr) {
            auto finish = [mine = std::unique_ptr<waiting_callback, deleter>{&op}]() mutable {
                complete(std::move(mine));
            };
            const auto work = op.executor;  // held until the post has returned, lest that context be gone before
            asio::require(op.context->get_executor(), asio::execution::blocking.never,
                          asio::execution::allocator(node_room::allocator<std::byte>{op.room}))
                .execute(std::move(finish));
            return;
        }
        // A type-erased completion executor only dispatches: the pool's own queue makes it a post.
        const auto allocator = asio::get_associated_allocator(op.handler);
        const auto queue = op.pool->executor();
        auto hop = [mine = std::unique_ptr<waiting_callback, deleter>{&op}, allocator]() mutable {
            const auto whose = mine->executor;
            auto finish = [mine = std::move(mine)]() mutable { complete(std::move(mine)); };
            asio::dispatch(whose, asio::bind_allocator(allocator, std::move(finish)));
        };
        asio::post(queue, asio::bind_allocator(allocator, std::move(hop)));
    }

    static void complete(std::unique_ptr<waiting_callback, deleter> op) {
        if (auto slot = asio::get_associated_cancellation_slot(op->handler); slot.is_connected()) {
            slot.clear();
        }
        lease lent;
        if (op->result == core::outcome::granted) {
            lent = pooled_connection::lend(op->pool->granted(*op, op->where));
            op->granted = nullptr;
        } else {
            op->pool->count_wait(op->since);
            op->explain();
        }
        const auto code = error_of(op->result);
        auto told = dismantle(*op.release());  // its memory is free before the handler asks for some
        std::move(told)(code, std::move(lent));
    }

    void explain() const noexcept {
        if (story == nullptr || result == core::outcome::cancelled || !why) {
            return;
        }
        try {
            const acquire_error full{reason_of(result), pool->settings()->name,
                                     std::chrono::steady_clock::now() - since, why->counts, why->last};
            *story = full.server_diagnostics();
            story->message = full.what();
        } catch (const std::bad_alloc&) {
            // Then the code alone.
        }
    }

    void begin() {
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
            try {
                slot.assign([this](asio::cancellation_type) {
                    const auto keep = pool;
                    keep->cancel(*this);
                });
            } catch (...) {
                destroy(*this);
                throw;
            }
        }
        const auto keep = pool;  // the block may be gone before `wait` returns
        keep->wait(*this);
    }

    ~waiting_callback() {
        if (granted != nullptr) {
            pool->take_back(*static_cast<pooled_connection*>(granted->connection), false);
        }
    }

    std::shared_ptr<pool_impl> pool;
    acquire_handler handler;
    asio::any_completion_executor executor;  // keeps its context's run() busy meanwhile
    asio::io_context* context;               // of that executor, or null: it is of another kind
    node_room room;
    diagnostics* story;
    source_location where;
};

}  // namespace

void acquire_operation::tell() noexcept {
    if (caller == kind::coroutine) {
        static_cast<sleeping_acquire&>(*this).sleeper.try_post();
    } else {
        waiting_callback::post(static_cast<waiting_callback&>(*this));
    }
}

void acquire_operation::drop() noexcept {
    if (caller == kind::coroutine) {
        static_cast<sleeping_acquire&>(*this).sleeper.drop();
    } else {
        waiting_callback::destroy(static_cast<waiting_callback&>(*this));
    }
}

pool_errc reason_of(core::outcome how) noexcept {
    switch (how) {
    case core::outcome::timed_out: return pool_errc::acquire_timeout;
    case core::outcome::suspended: return pool_errc::suspended;
    case core::outcome::queue_full: return pool_errc::queue_full;
    case core::outcome::overloaded: return pool_errc::overloaded;
    case core::outcome::would_deadlock: return pool_errc::would_deadlock;
    case core::outcome::unavailable: return pool_errc::unavailable;
    case core::outcome::auth_failed: return pool_errc::auth_failed;
    case core::outcome::server_full: return pool_errc::too_many_connections;
    case core::outcome::refused: return pool_errc::refused_by_hook;
    case core::outcome::pending:
    case core::outcome::granted:
    case core::outcome::cancelled:
    case core::outcome::closed: break;
    }
    return pool_errc::closed;
}

error_code error_of(core::outcome how) noexcept {
    if (how == core::outcome::granted) {
        return {};
    }
    return how == core::outcome::cancelled ? error_code{asio::error::operation_aborted} : error_code{reason_of(how)};
}

asio::awaitable<lease> acquire_from(const std::shared_ptr<pool_impl>& impl, acquire_options options,
                                    source_location where) {
    if (auto* const free = impl->try_acquire(where)) {
        co_return pooled_connection::lend(*free);
    }
    if (impl->is_inherited()) {
        throw acquire_error{pool_errc::closed, name_in_child, {}, {}, nullptr};
    }
    sleeping_acquire op{impl, options};
    co_await suspension::until<&sleeping_acquire::sleeper, &sleeping_acquire::begin>(op);
    if (op.result != core::outcome::granted) {
        op.refuse();
    }
    co_return op.take(where);
}

void begin_acquire(const std::shared_ptr<pool_impl>& impl, acquire_options options, source_location where,
                   diagnostics* why, acquire_handler handler) {
    if (impl->is_inherited()) {
        const auto executor = asio::get_associated_executor(handler, impl->executor());
        asio::dispatch(executor,
                       [handler = std::move(handler)]() mutable { std::move(handler)(pool_errc::closed, lease{}); });
        return;
    }
    waiting_callback::make(impl, std::move(handler), options, where, why).begin();
}

}  // namespace trunkline::detail
