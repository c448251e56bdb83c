#include "loader.hpp"

#include "gate.hpp"
#include "schema.hpp"
#include "statements.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

namespace trunkline::stress {

std::string loader::make_full_batch() { return statements::insert(batch_posts); }

boost::asio::awaitable<void> loader::run() {
    const auto executor = into_.get_executor();
    gate under_way{executor};
    for (std::size_t i = 0; i < lanes; ++i) {
        under_way.enter();
        boost::asio::co_spawn(executor, run_lane(), [this, &under_way](std::exception_ptr problem) {
            if (problem) {
                fail(problem);
            }
            under_way.leave();
        });
    }
    co_await under_way.async_wait_empty(boost::asio::deferred);
    const std::lock_guard lock{mutex_};
    if (failure_) {
        std::rethrow_exception(failure_);
    }
}

boost::asio::awaitable<void> loader::run_lane() {
    post scratch;
    while (!stopping_) {
        parameters batch;
        const auto posts = fill(batch, scratch);
        if (posts == 0) {
            co_return;
        }
        const auto sql = posts == batch_posts ? full_batch_ : statements::insert(posts);
        const auto done = co_await into_.query(sql, std::move(batch));
        loaded_ += done.rows_affected();
        duplicates_ += posts - done.rows_affected();
    }
}

std::size_t loader::fill(parameters& batch, post& scratch) {
    const std::lock_guard lock{mutex_};
    std::size_t posts = 0;
    while (posts < batch_posts && batch.bytes().size() < batch_bytes && !failure_ && from_.next(scratch)) {
        terms_.offer(scratch.title);
        add_post(batch, scratch);
        ++posts;
    }
    return posts;
}

void loader::fail(std::exception_ptr problem) {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    if (!failure_) {
        failure_ = std::move(problem);
    }
}

}  // namespace trunkline::stress
