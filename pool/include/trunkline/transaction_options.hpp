#pragma once

#include <chrono>
#include <type_traits>

namespace trunkline {

/// What a transaction sees of the others. PostgreSQL's `read uncommitted` is `read committed`, and not listed.
enum class isolation_level : unsigned char {
    server_default,  ///< nothing is said: `default_transaction_isolation`
    read_committed,  ///< each statement sees what is committed when it begins
    repeatable_read,  ///< all see what was committed when the first began; 40001 if a row that it changes was changed since
    serializable,  ///< as if they ran one after another; 40001 if that cannot be
};

/// Whether a transaction may write.
enum class access_mode : unsigned char {
    server_default,  ///< nothing is said: `default_transaction_read_only`
    read_write,      ///< it may, whatever the default says
    read_only,       ///< what writes fails with 25006
};

/// How a transaction begins. Trivially destructible, so that it may stand inside a `co_await` expression. Everything
/// travels in the BEGIN itself. A savepoint has no options but `timeout`.
struct transaction_options {
    isolation_level isolation = isolation_level::server_default;
    access_mode access = access_mode::server_default;
    /// Waits at its first statement until it can run without any danger of 40001, for a long report say. It needs
    /// `serializable` and `read_only`, both said here: PostgreSQL would ignore it silently elsewhere.
    bool deferrable = false;
    /// For the BEGIN itself (a savepoint may have it, too), from the call to its answer. 0: `query.timeout`.
    std::chrono::milliseconds timeout{0};

    bool operator==(const transaction_options&) const noexcept = default;
};
static_assert(std::is_trivially_destructible_v<transaction_options>);

/// How often the body of a transaction may run. It runs again when it, or its COMMIT, failed with 40001 (serialization
/// failure) or 40P01 (deadlock): all that it did in the database is undone then, and what it did elsewhere is not. So it
/// must be safe to run again. Trivially destructible.
struct retry_options {
    /// Runs in all, the first included; at least 1, which is: never again.
    unsigned attempts = 5;
    /// The wait before the second run; doubled before each that follows, up to `backoff_max`, and shortened at random by
    /// up to a half, so that those who collided do not meet again. Neither may be negative; 0: no wait.
    std::chrono::milliseconds backoff_initial{10};
    std::chrono::milliseconds backoff_max{1'000};
};
static_assert(std::is_trivially_destructible_v<retry_options>);

/// For a body that is not safe to run again.
inline constexpr retry_options no_retry{.attempts = 1};

}  // namespace trunkline
