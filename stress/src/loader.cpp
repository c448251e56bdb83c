#include "loader.hpp"

#include "gate.hpp"
#include "statements.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

namespace trunkline::stress {

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
    while (!stopping_ && take(scratch)) {
        std::size_t posts = 0;
        std::uint64_t stored = 0;
        const auto batch = [&](transaction& tx) -> boost::asio::awaitable<void> {
            co_await tx.execute(statements::create_incoming);
            posts = co_await copy_batch(tx, scratch);
            stored = co_await tx.execute(statements::insert_incoming);
        };
        co_await into_.transaction(batch);
        loaded_ += stored;
        duplicates_ += posts - stored;
    }
}

/// `scratch` holds its first post.
boost::asio::awaitable<std::size_t> loader::copy_batch(transaction& on, post& scratch) {
    auto copy = co_await on.copy_in(statements::copy_incoming);
    std::size_t posts = 0;
    do {
        co_await copy.write_row(scratch.id, scratch.subreddit, scratch.created, scratch.score, scratch.ups,
                                scratch.downs, scratch.num_comments, scratch.domain, scratch.title, scratch.selftext,
                                scratch.permalink, scratch.url, scratch.subreddit_id, scratch.name, scratch.over_18,
                                scratch.is_self);
        ++posts;
    } while (posts < batch_posts && take(scratch));
    co_await copy.finish();
    co_return posts;
}

/// The next post, if there is one and all is well.
bool loader::take(post& into) {
    const std::lock_guard lock{mutex_};
    if (failure_ || !from_.next(into)) {
        return false;
    }
    terms_.offer(into.title);
    return true;
}

void loader::fail(std::exception_ptr problem) {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    if (!failure_) {
        failure_ = std::move(problem);
    }
}

}  // namespace trunkline::stress
