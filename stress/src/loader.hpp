#pragma once

#include "post.hpp"
#include "search_terms.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>

namespace trunkline::stress {

/// Loads posts by COPY over a few connections at once, a batch a transaction. Memory is bounded: each holds one post and
/// the piece that it sends.
class loader {
public:
    /// Connections used. More do not help: the server computes each post's words, which is its CPU's work.
    static constexpr std::size_t lanes = 4;
    /// Enough that what a transaction costs besides is not seen, and few enough that `stop` is soon done.
    static constexpr std::size_t batch_posts = 1'000;

    /// All must outlive `run`.
    loader(pool& into, post_source& from, search_terms& terms) : into_{into}, from_{from}, terms_{terms} {}

    /// Completes when all posts are stored. Throws the first `error` of any connection, or what the source throws.
    boost::asio::awaitable<void> run();
    /// Every lane ends after its batch.
    void stop() noexcept { stopping_ = true; }

    /// Posts that the server has stored so far; any thread may ask.
    [[nodiscard]] std::uint64_t loaded() const noexcept { return loaded_; }
    /// Posts whose id was there already, and which were left out.
    [[nodiscard]] std::uint64_t duplicates() const noexcept { return duplicates_; }

private:
    boost::asio::awaitable<void> run_lane();
    boost::asio::awaitable<std::size_t> copy_batch(transaction& on, post& scratch);
    bool take(post& into);
    void fail(std::exception_ptr problem);

    pool& into_;
    post_source& from_;
    search_terms& terms_;
    std::mutex mutex_;  // guards the source, the terms and the failure
    std::exception_ptr failure_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> loaded_{0};
    std::atomic<std::uint64_t> duplicates_{0};
};

}  // namespace trunkline::stress
