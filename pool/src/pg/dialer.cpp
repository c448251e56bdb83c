#include "dialer.hpp"

#include "dial.hpp"
#include "fork_guard.hpp"
#include "helper_thread.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <future>
#include <mutex>
#include <new>
#include <vector>

namespace trunkline::pg {

struct dialer::state {
    const unsigned born = fork_generation();
    pg::dial::environment shared;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> stay{shared.context.get_executor()};
    std::vector<std::weak_ptr<pg::dial>> dials;  // on the thread alone

    std::mutex mutex;  // guards the thread's start
    std::thread thread;
    std::promise<bool> left;  // the thread has left its loop; whether a lookup is still under way

    void run() {
        shared.context.run();
        left.set_value(shared.lookups > 0);
    }

    void abort_all() {
        const auto all = std::exchange(dials, {});
        for (const auto& one : all) {
            if (const auto under_way = one.lock()) {
                under_way->abort(pool_errc::closed);
            }
        }
    }
};

dialer::dialer() : state_{std::make_shared<state>()} {}

dialer::~dialer() {
    if (forked_since(state_->born)) {  // its thread is the parent's
        [[maybe_unused]] const auto* left = new (std::nothrow) std::shared_ptr<state>{std::move(state_)};
        return;
    }
    std::thread thread;
    {
        const std::lock_guard lock{state_->mutex};
        thread = std::move(state_->thread);
    }
    if (!thread.joinable()) {
        return;
    }
    const auto stop = [all = state_.get()] {
        all->abort_all();
        all->shared.context.stop();
    };
    if (thread.get_id() == std::this_thread::get_id()) {  // an on_dialed lets go of its dialer
        stop();
        thread.detach();
        return;
    }
    auto left = state_->left.get_future();
    try {
        boost::asio::post(state_->shared.context, stop);
    } catch (const std::bad_alloc&) {
        state_->shared.context.stop();
    }
    const bool blocked = left.get();
    if (!blocked) {
        thread.join();
        return;
    }
    // A lookup that hangs cannot be interrupted, and Asio waits for it when the context is destroyed. Everybody has been
    // told, so that wait is left to a thread that nobody waits for.
    thread.detach();
    try {
        start_helper_thread("trunkline-names", [last = std::move(state_)]() mutable { last.reset(); }).detach();
    } catch (const std::exception&) {
        // No thread or no memory for it: then it is waited for here.
    }
}

void dialer::dial(std::shared_ptr<const conninfo> where, std::chrono::milliseconds timeout, on_dialed done) {
    {
        const std::lock_guard lock{state_->mutex};
        if (!state_->thread.joinable()) {
            state_->thread = start_helper_thread("trunkline-dial", [mine = state_] { mine->run(); });
        }
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    // done may let go of the dialer before post() is back: what it still touches must outlive it.
    const auto kept = state_;
    auto started = std::make_shared<pg::dial>(kept->shared, std::move(where), deadline, std::move(done));
    boost::asio::post(kept->shared.context, [all = kept.get(), started = std::move(started)] {
        std::erase_if(all->dials, [](const auto& one) { return one.expired(); });
        try {
            all->dials.push_back(started);
        } catch (const std::bad_alloc&) {
            started->abort(pool_errc::connect_failed);
            return;
        }
        started->begin();
    });
}

void dialer::abort() {
    const auto kept = state_;  // as in dial(): a dial that is told of the abort may let go of the dialer
    boost::asio::post(kept->shared.context, [all = kept.get()] { all->abort_all(); });
}

}  // namespace trunkline::pg
