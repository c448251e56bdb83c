#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>

namespace trunkline::detail {

/// Whether an io_context is run by one thread alone, as far as anybody has seen. Only there may a handler keep the
/// coroutines that it wakes for itself: with more threads, another could run them at once.
class context_threads final : public boost::asio::execution_context::service {
public:
    using key_type = context_threads;
    static inline boost::asio::execution_context::id id;

    explicit context_threads(boost::asio::execution_context& context) : service{context} {}

    /// From a handler of the context: false from the second thread on, for good.
    [[nodiscard]] bool is_single() noexcept {
        static thread_local char mark;
        const void* seen = only_.load(std::memory_order_relaxed);
        if (seen == &mark ||
            (seen == nullptr && only_.compare_exchange_strong(seen, &mark, std::memory_order_relaxed))) {
            return true;
        }
        only_.store(&several_, std::memory_order_relaxed);
        return false;
    }

private:
    void shutdown() override {}

    static constexpr char several_ = 0;
    std::atomic<const void*> only_{nullptr};
};

}  // namespace trunkline::detail
