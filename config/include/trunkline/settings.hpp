#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace trunkline {

/// How many connections the pool holds.
struct size_settings {
    /// Connections kept open in total, from `pool::start()` on. 0: open the first when somebody asks.
    std::size_t min = 1;
    /// Never more sessions on the server than this, those being opened or closed included. 1 to 10,000.
    /// 10 is what HikariCP and sqlx take; PostgreSQL's own `max_connections` must leave room for it.
    std::size_t max = 10;

    bool operator==(const size_settings&) const = default;
};

/// TCP's own liveness timers, so that a dead peer is noticed in seconds, not in the kernel's 15 minutes.
/// They mean nothing on a UNIX socket. The figures are PgCat's, rounded.
struct tcp_settings {
    /// Quiet time before the first keepalive probe. 1 to 32,767 s.
    std::chrono::seconds keepalives_idle{10};
    /// Time between probes. 1 to 32,767 s.
    std::chrono::seconds keepalives_interval{5};
    /// Unanswered probes until the connection counts as lost. 1 to 100.
    int keepalives_count = 3;
    /// Longest time that sent data may stay unacknowledged. 0: the kernel's default.
    std::chrono::milliseconds user_timeout{10'000};

    bool operator==(const tcp_settings&) const = default;
};

/// Where the server is and how a connection to it is opened.
struct connect_settings {
    /// libpq's URI (`postgresql://user:password@host:port/database?sslmode=verify-full`) or its keywords
    /// (`host=/run/postgresql dbname=app`). Several hosts are tried in order. Empty: libpq's environment variables
    /// and defaults. It may hold a password: it is never logged and stands in no error.
    std::string url;
    /// One deadline over the whole of a dial: names, TCP, TLS, authentication. At least 1 ms.
    std::chrono::milliseconds timeout{5'000};
    /// Dials under way at the same time. At least 1. A handshake costs 2 to 10 ms of CPU on each side.
    std::size_t max_connecting = 2;
    /// Wait after the first failed dial; it doubles up to `backoff_max`, and each wait is drawn from its upper half.
    std::chrono::milliseconds backoff_initial{100};
    /// Longest wait between two dials while the server refuses.
    std::chrono::milliseconds backoff_max{5'000};
    /// What `pg_stat_activity` shows, unless the URL has one. Empty: libpq's default.
    std::string application_name = "trunkline";
    tcp_settings tcp;

    bool operator==(const connect_settings&) const = default;
};

/// Who waits for a connection, and how long.
struct acquire_settings {
    /// From the call to the lease or the error. At least 1 ms. 5 s is PgDog's figure.
    std::chrono::milliseconds timeout{5'000};
    /// Waiters in the queue; a call beyond it fails at once with `pool_errc::queue_full`. At least 1.
    std::size_t max_waiting = 100'000;

    bool operator==(const acquire_settings&) const = default;
};

/// How long a connection lives.
struct lifetime_settings {
    /// A connection that nobody used for so long is closed, if more than `size.min` are open. Never earlier; later by
    /// at most an eighth of it. 0: never.
    std::chrono::milliseconds idle_timeout{600'000};
    /// A connection of this age is closed when it is free. 0: never. Each one's limit is up to 10 % lower, drawn at
    /// random, so that connections opened together do not leave together.
    std::chrono::milliseconds max_lifetime{1'800'000};
    /// Longest ROLLBACK of a transaction that a lease was returned in; then the connection is closed. At least 1 ms.
    std::chrono::milliseconds rollback_timeout{5'000};

    bool operator==(const lifetime_settings&) const = default;
};

/// Everything that a pool can be told. A plain aggregate: each default is usable.
struct pool_settings {
    /// What the pool is called in logs and errors.
    std::string name = "main";
    size_settings size;
    connect_settings connect;
    acquire_settings acquire;
    lifetime_settings lifetime;

    bool operator==(const pool_settings&) const = default;
};

/// One thing that is wrong with settings.
struct settings_problem {
    std::string setting;  ///< its path: `size.max`
    std::string problem;  ///< what is wrong and what to do, in a sentence

    bool operator==(const settings_problem&) const = default;
};

/// Settings that cannot be used. Nothing is corrected silently: change what `problems()` lists.
class settings_error : public std::invalid_argument {
public:
    explicit settings_error(std::vector<settings_problem> problems);

    /// Every problem found, not the first alone.
    [[nodiscard]] const std::vector<settings_problem>& problems() const noexcept { return problems_; }

private:
    std::vector<settings_problem> problems_;
};

/// Every problem of `settings` that can be seen without a server; empty if there is none. The URL is not read here:
/// the pool's constructor asks libpq.
[[nodiscard]] std::vector<settings_problem> validate(const pool_settings& settings);

}  // namespace trunkline
