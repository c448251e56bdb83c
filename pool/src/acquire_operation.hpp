#pragma once

#include "core/waiter_queue.hpp"

#include <trunkline/error.hpp>
#include <trunkline/source_location.hpp>

#include <memory>

namespace trunkline::detail {

/// What those who got no connection in one event are told: shared, because they may be ten thousand.
struct refusal {
    pool_counts counts;
    std::shared_ptr<const connect_failure> last;
};

/// A caller in the queue, whatever resumes it. It lives in the caller's own state until it has been told.
struct acquire_operation : core::waiter {
    /// How a kind of caller is told.
    struct kind {
        /// Tells the caller, by posting; called exactly once, under no lock, when `result` is known. It must not touch
        /// the operation once the post is on its way.
        void (*tell)(acquire_operation&);
        /// Lets go of the caller without telling: its execution context is going away.
        void (*drop)(acquire_operation&) noexcept;
    };

    explicit acquire_operation(const kind& which) noexcept : caller{which} {}

    const kind& caller;
    std::shared_ptr<const refusal> why;  ///< unless granted
};

/// The error of an outcome. For `granted`, none.
error_code error_of(core::outcome how) noexcept;
pool_errc reason_of(core::outcome how) noexcept;

}  // namespace trunkline::detail
