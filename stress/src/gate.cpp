#include "gate.hpp"

#include <boost/asio/post.hpp>

#include <cassert>

namespace trunkline::stress {

gate::gate(boost::asio::any_io_executor executor) : executor_{std::move(executor)} {}

void gate::enter() {
    const std::lock_guard lock{mutex_};
    ++inside_;
}

void gate::leave() {
    std::optional<empty_handler> told;
    const auto executor = executor_;
    {
        const std::lock_guard lock{mutex_};
        assert(inside_ > 0);
        if (--inside_ == 0 && waiter_) {
            told.emplace(std::move(*waiter_));
            waiter_.reset();
        }
    }
    if (told) {
        // Nothing of this object is touched from here on: the waiter may run at once, elsewhere, and destroy it.
        boost::asio::post(executor, std::move(*told));
    }
}

std::size_t gate::inside() const {
    const std::lock_guard lock{mutex_};
    return inside_;
}

void gate::begin_wait(empty_handler handler) {
    const auto executor = executor_;
    {
        const std::lock_guard lock{mutex_};
        assert(!waiter_);
        if (inside_ != 0) {
            waiter_.emplace(std::move(handler));
            return;
        }
    }
    boost::asio::post(executor, std::move(handler));
}

}  // namespace trunkline::stress
