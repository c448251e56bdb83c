#pragma once

#include <boost/asio/execution_context.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace trunkline::detail {

class pool_impl;

/// Tells the pools of an execution context that it is going away, while Asio still stands: a coroutine that waits for a
/// connection is owned by its waiter, and nobody else would let go of it.
class pool_service final : public boost::asio::execution_context::service {
public:
    using key_type = pool_service;
    static inline boost::asio::execution_context::id id;

    explicit pool_service(boost::asio::execution_context& context) : service{context} {}

    void add(const std::shared_ptr<pool_impl>& pool);

private:
    void shutdown() override;

    std::mutex mutex_;
    std::vector<std::weak_ptr<pool_impl>> pools_;
};

}  // namespace trunkline::detail
