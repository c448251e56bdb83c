#pragma once

#include "core/waiter_queue.hpp"

#include <trunkline/error.hpp>
#include <trunkline/source_location.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <memory>
#include <utility>

namespace trunkline::detail {

/// What those who got no connection in one event are told: shared, because they may be ten thousand.
struct refusal : boost::intrusive_ref_counter<refusal> {
    refusal(const pool_counts& now, std::shared_ptr<const connect_failure> failure)
        : counts{now},
          last{std::move(failure)} {}

    pool_counts counts;
    std::shared_ptr<const connect_failure> last;
};

/// A caller in the queue, whatever resumes it. It lives in the caller's own state until it has been told; ten thousand
/// of them are why each byte counts.
struct acquire_operation : core::waiter {
    enum class kind : unsigned char { coroutine, callback };

    explicit acquire_operation(kind which) noexcept : caller{which} {}

    /// Tells the caller, by posting; called exactly once, under no lock, when `result` is known. The operation may be
    /// gone when it returns.
    void tell() noexcept;
    /// Lets go of the caller without telling: its execution context is going away.
    void drop() noexcept;

    const kind caller;
    boost::intrusive_ptr<const refusal> why;  ///< unless granted
};

/// The error of an outcome. For `granted`, none.
error_code error_of(core::outcome how) noexcept;
pool_errc reason_of(core::outcome how) noexcept;

}  // namespace trunkline::detail
