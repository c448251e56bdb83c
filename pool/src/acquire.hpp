#pragma once

#include "acquire_operation.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>

namespace trunkline::detail {

using acquire_handler = boost::asio::any_completion_handler<void(error_code, lease)>;

/// `pool::acquire`: tries first and suspends only if it must. `impl` is looked at when the coroutine starts.
boost::asio::awaitable<lease> acquire_from(const std::shared_ptr<pool_impl>& impl, acquire_options options,
                                           source_location where);

/// `pool::async_acquire` for a handler that is no coroutine of ours.
void begin_acquire(const std::shared_ptr<pool_impl>& impl, acquire_options options, source_location where,
                   diagnostics* why, acquire_handler handler);

}  // namespace trunkline::detail
