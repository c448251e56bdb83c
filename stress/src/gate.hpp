#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace trunkline::stress {

/// Counts coroutines that are under way, and lets one wait until the last has left. Everybody enters before anybody
/// waits; it must outlive those inside. Thread-safe.
class gate {
public:
    explicit gate(boost::asio::any_io_executor executor);

    void enter();
    void leave();
    [[nodiscard]] std::size_t inside() const;

    /// Completes with `void()` when nobody is inside; never inside this call. One waiter at a time.
    template <boost::asio::completion_token_for<void()> CompletionToken>
    auto async_wait_empty(CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void()>(
            [this](auto handler) { begin_wait(std::move(handler)); }, token);
    }

private:
    using empty_handler = boost::asio::any_completion_handler<void()>;

    void begin_wait(empty_handler handler);

    boost::asio::any_io_executor executor_;
    mutable std::mutex mutex_;
    std::size_t inside_ = 0;
    std::optional<empty_handler> waiter_;
};

}  // namespace trunkline::stress
