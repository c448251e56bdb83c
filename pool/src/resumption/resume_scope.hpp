#pragma once

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <utility>

namespace trunkline::detail {

class suspension;

/// While a handler of ours tells its callers what has come, the coroutines that they wake on the same io_context are
/// noted here and run when it is done: still on top of no other coroutine, but before the executor turns to anything
/// else. Who gives a connection back so hands it to a waiter who sends at once, instead of behind everything that the
/// reactor has just reported. Only for a context with one thread: with more, another runs them at once. Lives on a
/// handler's stack.
class resume_scope {
public:
    /// For the thread that runs this handler of `context`; null: an executor of another kind, nothing is noted.
    explicit resume_scope(const boost::asio::io_context* context) noexcept
        : context_{context},
          outer_{std::exchange(current, this)} {}
    resume_scope(const resume_scope&) = delete;
    resume_scope& operator=(const resume_scope&) = delete;
    /// What is left after `run`, or because something was thrown, is posted.
    ~resume_scope();

    /// Runs the coroutines in order, those included that are woken meanwhile; no more than a few, so that one chain of
    /// hand-overs does not hold the thread.
    void run();

    /// The scope of the calling thread if its handler belongs to `context`, or null.
    [[nodiscard]] static resume_scope* of(const boost::asio::io_context& context) noexcept {
        return current != nullptr && current->context_ == &context ? current : nullptr;
    }

    void note(suspension& woken) noexcept;

private:
    static constexpr std::size_t most_resumptions = 16;
    static inline constinit thread_local resume_scope* current = nullptr;

    suspension* pop() noexcept;

    const boost::asio::io_context* context_;
    resume_scope* outer_;
    suspension* first_ = nullptr;
    suspension* last_ = nullptr;
};

}  // namespace trunkline::detail
