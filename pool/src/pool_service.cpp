#include "pool_service.hpp"

#include "pool_impl.hpp"

#include <algorithm>

namespace trunkline::detail {

void pool_service::add(const std::shared_ptr<pool_impl>& pool) {
    const std::lock_guard lock{mutex_};
    std::erase_if(pools_, [](const auto& known) { return known.expired(); });
    pools_.push_back(pool);
}

void pool_service::shutdown() {
    std::vector<std::weak_ptr<pool_impl>> pools;
    {
        const std::lock_guard lock{mutex_};
        pools.swap(pools_);
    }
    for (const auto& one : pools) {
        if (const auto pool = one.lock()) {
            pool->shutdown();
        }
    }
}

}  // namespace trunkline::detail
