#pragma once

#include "resume_scope.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace trunkline::detail {

/// Where one coroutine sleeps until somebody wakes it. It lives in that coroutine's frame and holds the handler that
/// resumes it, which in turn owns the frame: nothing is allocated. Once the coroutine sleeps, exactly one of
/// `dispatch`, `post` and `drop` must be called, on any thread; the caller touches the suspension no more, for it may be
/// gone. Who may call is the owner's to decide, under the owner's lock.
class suspension {
public:
    suspension() noexcept = default;
    suspension(const suspension&) = delete;
    suspension& operator=(const suspension&) = delete;
    ~suspension() { assert(functions_ == nullptr); }

    /// `co_await sleeper.until([&] { … });` puts the coroutine to sleep, and calls `start` when it can be woken. `start`
    /// may wake it at once on another thread: from then on it must not touch what lives in the frame. On its own thread
    /// it must not `dispatch`: that nests one coroutine's pump in the other's.
    template <typename Start>
    auto until(Start start) {
        static_assert(std::is_trivially_destructible_v<Start>,
                      "g++ 12 destroys it twice: capture by reference, or trivially destructible values");
        return boost::asio::async_initiate<const boost::asio::deferred_t&, void()>(
            [this](auto handler, Start begin) {
                this->hold(std::move(handler));
                begin();
            },
            boost::asio::deferred, start);
    }

    /// The same for a suspension that is a part of `owner`, whose `Start` is called: one pointer in the frame.
    template <auto Sleeper, auto Start, typename Owner>
    static auto until(Owner& owner) {
        return boost::asio::async_initiate<const boost::asio::deferred_t&, void()>(
            [&owner](auto handler) {
                (owner.*Sleeper).hold(std::move(handler));
                (owner.*Start)();
            },
            boost::asio::deferred);
    }

    /// Whether a coroutine sleeps here.
    [[nodiscard]] bool holds_handler() const noexcept { return functions_ != nullptr; }
    /// Where the coroutine runs.
    [[nodiscard]] boost::asio::any_io_executor executor() const { return functions_->executor(*this); }
    /// The coroutine's cancellation; maybe not connected. It is cleared when the coroutine wakes.
    [[nodiscard]] boost::asio::cancellation_slot slot() const noexcept { return functions_->slot(*this); }

    /// Wakes the coroutine inside this call if the thread runs its executor, else through `post`. Call it only from
    /// where no other coroutine runs further up the stack.
    void dispatch() { functions_->dispatch(*this); }
    /// Wakes the coroutine through its executor's queue, or, inside a handler with a `resume_scope`, when that handler is
    /// done. Allocates nothing if its executor is an `io_context`'s.
    void post() { functions_->post(*this); }
    /// The same; where there is no memory for it the coroutine is dropped, and nothing is thrown.
    void try_post() noexcept {
        try {
            post();
        } catch (const std::bad_alloc&) {
            // The handler went with the failed post.
        }
    }
    /// Destroys the coroutine, through its executor's queue, without waking it.
    void drop() noexcept { functions_->drop(*this); }

private:
    struct functions {
        boost::asio::any_io_executor (*executor)(const suspension&);
        boost::asio::cancellation_slot (*slot)(const suspension&) noexcept;
        void (*dispatch)(suspension&);
        void (*post)(suspension&);
        void (*enqueue)(suspension&);
        void (*resume)(suspension&);
        void (*drop)(suspension&) noexcept;
    };

    friend class resume_scope;

    // While a `resume_scope` has noted it: the next one there, behind the handler.
    suspension*& next_noted() noexcept { return *reinterpret_cast<suspension**>(memory_ + longest_handler); }
    void enqueue() { functions_->enqueue(*this); }
    void resume() { functions_->resume(*this); }

    // The queue's node lies where the handler lay: Asio moves the handler out of the node and gives the node's memory
    // back before it calls the handler, so that the frame may end inside the call.
    template <typename T>
    struct node_allocator {
        using value_type = T;
        explicit node_allocator(std::byte* room) noexcept : memory{room} {}
        template <typename U>
        explicit(false) node_allocator(const node_allocator<U>& other) noexcept : memory{other.memory} {}
        T* allocate(std::size_t count) {
            if (count * sizeof(T) <= sizeof(suspension::memory_) && alignof(T) <= alignof(void*)) {
                return reinterpret_cast<T*>(memory);
            }
            return std::allocator<T>{}.allocate(count);
        }
        void deallocate(T* node, std::size_t count) noexcept {
            if (reinterpret_cast<std::byte*>(node) != memory) {
                std::allocator<T>{}.deallocate(node, count);
            }
        }
        bool operator==(const node_allocator&) const noexcept = default;
        std::byte* memory;
    };

    template <typename Handler>
    void hold(Handler handler) {
        static_assert(sizeof(Handler) <= longest_handler && alignof(Handler) <= alignof(void*));
        static_assert(std::is_nothrow_move_constructible_v<Handler>);
        assert(functions_ == nullptr);
        static constexpr functions of{&executor_of<Handler>,  &slot_of<Handler>,         &dispatch_handler<Handler>,
                                      &post_handler<Handler>, &enqueue_handler<Handler>, &resume_handler<Handler>,
                                      &drop_handler<Handler>};
        ::new (static_cast<void*>(memory_)) Handler(std::move(handler));
        functions_ = &of;
    }

    template <typename Handler>
    [[nodiscard]] const Handler& held() const noexcept {
        return *std::launder(reinterpret_cast<const Handler*>(memory_));
    }

    // The handler must leave the frame before it is called or destroyed, because the frame may end then.
    template <typename Handler>
    Handler take() noexcept {
        Handler& held = *std::launder(reinterpret_cast<Handler*>(memory_));
        Handler taken{std::move(held)};
        held.~Handler();
        functions_ = nullptr;
        return taken;
    }

    template <typename Handler>
    static boost::asio::any_io_executor executor_of(const suspension& self) {
        return boost::asio::get_associated_executor(self.held<Handler>());
    }

    template <typename Handler>
    static boost::asio::cancellation_slot slot_of(const suspension& self) noexcept {
        return boost::asio::get_associated_cancellation_slot(self.held<Handler>());
    }

    // Asio's own dispatch and post on a type-erased executor copy it several times and allocate; almost always it is
    // an io_context's.
    static const boost::asio::io_context::executor_type* io_context_of(const boost::asio::any_io_executor& executor) {
        return executor.target<boost::asio::io_context::executor_type>();
    }

    template <typename Handler>
    static void dispatch_handler(suspension& self) {
        Handler handler = self.take<Handler>();
        const boost::asio::any_io_executor executor = boost::asio::get_associated_executor(handler);
        const auto* context = io_context_of(executor);
        if (context != nullptr && context->running_in_this_thread()) {
            std::move(handler)();
            return;
        }
        // Held until the post has returned: else that context may have run out of work, and be gone, before.
        const auto work = boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
        boost::asio::dispatch(work, [handler = std::move(handler)]() mutable { std::move(handler)(); });
    }

    template <typename Handler>
    static void post_handler(suspension& self) {
        const boost::asio::any_io_executor executor = boost::asio::get_associated_executor(self.held<Handler>());
        if (const auto* context = io_context_of(executor)) {
            if (auto* const scope = resume_scope::of(context->context())) {
                scope->note(self);
                return;
            }
        }
        enqueue_handler<Handler>(self);
    }

    template <typename Handler>
    static void enqueue_handler(suspension& self) {
        Handler handler = self.take<Handler>();
        const boost::asio::any_io_executor executor = boost::asio::get_associated_executor(handler);
        auto wake = [handler = std::move(handler)]() mutable { std::move(handler)(); };
        if (const auto* context = io_context_of(executor)) {
            // Held until the post has returned, as above.
            const auto work = boost::asio::require(*context, boost::asio::execution::outstanding_work.tracked);
            boost::asio::require(*context, boost::asio::execution::blocking.never,
                                 boost::asio::execution::allocator(node_allocator<std::byte>{self.memory_}))
                .execute(std::move(wake));
            return;
        }
        const auto work = boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
        boost::asio::post(work, std::move(wake));
    }

    template <typename Handler>
    static void resume_handler(suspension& self) {
        Handler handler = self.take<Handler>();
        std::move(handler)();
    }

    template <typename Handler>
    static void drop_handler(suspension& self) noexcept {
        [[maybe_unused]] const Handler dropped = self.take<Handler>();
    }

    static constexpr std::size_t longest_handler = 32;
    alignas(void*) std::byte memory_[longest_handler + sizeof(void*)];  // 40: an io_context's node for one pointer
    const functions* functions_ = nullptr;
};

}  // namespace trunkline::detail
