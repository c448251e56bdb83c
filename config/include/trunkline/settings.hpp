#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace trunkline {

/// A cap that follows the server: so many connections as this pool's share of `max_connections` allows,
/// floor((max_connections - superuser_reserved_connections - reserved_connections) x share / instances), at least 2. It is
/// read anew with each connection that is opened. userver's `connlimit: auto`.
struct automatic_size {
    /// The part of the server's connections that is meant for this service. Above 0, at most 1.
    double share = 0.8;
    /// Processes of this service that share it. 1 to 100,000: with more than the server has connections `max` is 2 anyway.
    std::size_t instances = 1;

    bool operator==(const automatic_size&) const = default;
};

/// How many connections the pool holds.
struct size_settings {
    /// Connections kept open in total, from `pool::start()` on. 0: open the first when somebody asks.
    std::size_t min = 1;
    /// Connections kept idle, from `pool::start()` on, as long as `max` has room for them: the reserve for a burst.
    /// At most `max`. 0: none.
    std::size_t min_idle = 0;
    /// Never more sessions on the server than this, those being opened or closed included. 1 to 10,000.
    /// 10 is what HikariCP and sqlx take; PostgreSQL's own `max_connections` must leave room for it.
    std::size_t max = 10;
    /// Lowers `max` to what the server has to give. Unset: `max` alone counts.
    std::optional<automatic_size> automatic{};

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
    /// Dials under way at the same time. 1 to 1,000. A handshake costs 2 to 10 ms of CPU on each side: of more
    /// than a thousand on one core the last ones could only run out of `timeout`.
    std::size_t max_connecting = 2;
    /// Before a further dial is begun for callers who wait while another is under way: often a lease that comes back
    /// serves them sooner. It goes on while each such pause serves as many as still wait at its end. 0: at once.
    /// (HikariCP's spike is ridden out with one dial instead of forty-five.)
    std::chrono::milliseconds anticipation{20};
    /// Wait after the first failed dial; it doubles up to `backoff_max`, and each wait is drawn from its upper half.
    std::chrono::milliseconds backoff_initial{100};
    /// Longest wait between two dials while the server refuses.
    std::chrono::milliseconds backoff_max{5'000};
    /// What `pg_stat_activity` shows, unless the URL has one. Empty: libpq's default.
    std::string application_name = "trunkline";
    tcp_settings tcp;

    bool operator==(const connect_settings&) const = default;
};

/// What becomes of a pool whose server does not let it in.
enum class start_policy {
    fail_fast,  ///< `start()` throws: at once if the server refuses the login, else after `recovery.start_timeout`
    wait,       ///< `start()` waits through everything, for `recovery.start_timeout` at most
    lazy,       ///< `start()` returns at once; the pool opens its connections in the background
};

/// What the pool does while the server cannot be had. All waits between dials are the pool's, not a caller's: while the
/// server is down one dial at a time knocks for everybody.
struct recovery_settings {
    start_policy start = start_policy::fail_fast;
    /// How long `start()` may take. 0: `connect.timeout`; with `start_policy::wait`: for ever.
    std::chrono::milliseconds start_timeout{0};
    /// Once the server has been down for so long and no connection is open, new callers are told so at once, with the
    /// cause, instead of being queued, until a dial succeeds. 0: from the first failure on. Unset: never. Callers who
    /// wait already keep their deadline.
    std::optional<std::chrono::milliseconds> fail_fast_after{std::chrono::milliseconds{5'000}};
    /// Wait between two dials of a server that is full (53300 and the rest of class 53). At least 1 ms.
    std::chrono::milliseconds full_retry{1'000};
    /// Wait between two dials of a server that starts up (57P03). At least 1 ms.
    std::chrono::milliseconds starting_retry{200};
    /// Shortest wait after a dial that no retry mends: no such database, TLS that does not fit. At least 1 ms.
    std::chrono::milliseconds misconfigured_retry{5'000};
    /// So many refused logins (class 28) within `breaker_window` stop all dials for `breaker_pause`: many servers lock
    /// an account that knocks too often. Supavisor's figures. 1 to 1,000,000, which is as good as never: each refusal of
    /// the window is remembered.
    std::size_t breaker_failures = 10;
    std::chrono::milliseconds breaker_window{150'000};  ///< at least 1 ms
    std::chrono::milliseconds breaker_pause{120'000};   ///< at least 1 ms

    bool operator==(const recovery_settings&) const = default;
};

/// Which idle connection is lent first.
enum class idle_order {
    last_in_first_out,   ///< a hot working set, and a cold tail that `lifetime.idle_timeout` can close
    first_in_first_out,  ///< all in turn: the pool does not shrink while it is used at all
};

/// Who waits for a connection, and how long.
struct acquire_settings {
    /// From the call to the lease or the error. At least 1 ms. 5 s is PgDog's figure.
    std::chrono::milliseconds timeout{5'000};
    /// Waiters in the queue; a call beyond it fails at once with `pool_errc::queue_full`. 1 to
    /// 10,000,000: with the caller's coroutine each takes about 1 KiB, so that this is 10 GiB.
    std::size_t max_waiting = 100'000;
    /// Shedding by delay (CoDel's rule, as db_connection has it): when even the shortest wait of `shed_interval` was
    /// longer than this, a new caller is told `pool_errc::overloaded` while the one who has waited longest has waited
    /// longer than this. 0: off; 50 ms is what db_connection takes. Less than `timeout`.
    std::chrono::milliseconds shed_target{0};
    /// At least 1 ms.
    std::chrono::milliseconds shed_interval{2'000};
    idle_order order = idle_order::last_in_first_out;

    bool operator==(const acquire_settings&) const = default;
};

/// How long a connection lives.
struct lifetime_settings {
    /// A connection that nobody used for so long is closed, if more than `size.min` are open and more than
    /// `size.min_idle` idle. Never earlier; later by at most an eighth of it. 0: never.
    std::chrono::milliseconds idle_timeout{600'000};
    /// A connection of this age is replaced when it is free. 0: never. Each one's limit is up to 10 % lower, drawn at
    /// random, so that connections opened together do not leave together; while callers wait it is put off by up to
    /// 10 %. One at a time, at least `max_lifetime / size` apart, and the new one is open before the old one leaves if
    /// `size.max` has room.
    std::chrono::milliseconds max_lifetime{1'800'000};
    /// An idle connection is asked for a sign of life so often, 10 % more or less. 0: never. Shorter than
    /// `max_lifetime`. Unset: 2 minutes (HikariCP), or never if `max_lifetime` is not longer than that.
    std::optional<std::chrono::milliseconds> keepalive{};
    /// A connection that was lent so often is closed. 0: never.
    std::size_t max_uses = 0;
    /// Longest ROLLBACK of a transaction that a lease was returned in; then the connection is closed. At least 1 ms.
    /// PgDog's 5 s.
    std::chrono::milliseconds rollback_timeout{5'000};

    bool operator==(const lifetime_settings&) const = default;
};

/// When a connection is asked for a sign of life before it is lent.
struct validation_settings {
    /// A connection that has lain idle for longer than this is asked before it is lent, and every idle connection after
    /// one was lost. Never earlier; later by at most as much again. 0: every connection that is not handed on directly.
    /// HikariCP asks after 0.5 s, pgx after 1 s.
    std::chrono::milliseconds after{1'000};
    /// How long the answer may take; then the connection is closed and another one is tried. At least 1 ms, less than
    /// `acquire.timeout`. Unset: 500 ms, or half of `acquire.timeout` if that is shorter.
    std::optional<std::chrono::milliseconds> timeout{};

    bool operator==(const validation_settings&) const = default;
};

/// Statements.
struct query_settings {
    /// For a statement that is given no time-out of its own. 0: none; the network's own limits (`connect.tcp`) and the
    /// server's then hold alone. Less than `lease.timeout`, if both are set.
    std::chrono::milliseconds timeout{0};
    /// Tells the server the time-out too, as `statement_timeout` in the same round trip. Turn it off behind a pooler in
    /// transaction mode.
    bool server_timeout = true;
    /// Longest wait for the end of a statement that was cancelled; then its connection is closed. At least 1 ms. Npgsql's
    /// 2 s.
    std::chrono::milliseconds cancel_timeout{2'000};

    bool operator==(const query_settings&) const = default;
};

/// Whether statements are prepared.
enum class prepare_mode {
    automatic,  ///< those that are used often, unless a pooler stands in front of the server
    off,        ///< never: for a pooler in transaction mode
};

/// Prepared statements: the server parses such a statement once for each connection and may keep its plan. Trunkline
/// prepares what reads or writes rows (SELECT, INSERT, …) and is used often, and what it has prepared stays through resets.
struct prepare_settings {
    prepare_mode mode = prepare_mode::automatic;
    /// A statement is prepared when the pool has seen it so often. 1: at its first use. 0 to 1,000,000; 0: never. Npgsql takes 5.
    std::size_t after_uses = 5;
    /// For each connection; the one that was not used for the longest time makes room. 1 to 10,000. PgBouncer and userver
    /// take 200.
    std::size_t max_statements = 256;
    /// A new connection prepares so many of those that are used most before it is lent, in half a second at most: what takes
    /// longer, behind a lock for example, is left out. Not with `reset_mode::discard_all`. 0 to 1,000; 0: none.
    std::size_t warm_statements = 32;
    /// After so long, a tenth more or less, a statement is prepared anew, so that its plan follows its tables' statistics.
    /// It is looked at with each 64th use. 0: it lives as long as its connection.
    std::chrono::milliseconds ttl{0};

    bool operator==(const prepare_settings&) const = default;
};

/// What a returned connection is cleaned of before anybody else has it. A transaction is always rolled back.
enum class reset_mode {
    smart,        ///< resets the session if a statement ran that may have left something behind
    always,       ///< resets it whatever ran
    discard_all,  ///< the same with DISCARD ALL, which drops prepared statements too
    off,          ///< never: what a lease sets the next one sees
};

struct reset_settings {
    reset_mode mode = reset_mode::smart;
    /// What is left of a result or a COPY is read to its end within these two limits; beyond them the connection is
    /// closed. PgDog recovers the same way. 0 bytes to 1 GiB, which is the longest value that PostgreSQL has.
    std::size_t drain_bytes = 65'536;
    std::chrono::milliseconds drain_time{100};  ///< at least 1 ms

    bool operator==(const reset_settings&) const = default;
};

/// How long a lease may last.
struct lease_settings {
    /// A lease of this age is ended: its statement is cancelled, its operations fail with `pool_errc::lease_expired`, and
    /// its connection is closed. Never earlier; later by at most an eighth of it. 0: never.
    std::chrono::milliseconds timeout{0};
    /// A lease of this age is reported in the log, once, with the place where it was acquired, and again when it comes
    /// back. Never earlier; later by at most an eighth of it. 0: never. Less than `timeout`, if that is set.
    std::chrono::milliseconds leak_threshold{0};

    bool operator==(const lease_settings&) const = default;
};

/// How long the program's hooks may take (`pool_hooks`). Each at least 1 ms.
struct hook_settings {
    std::chrono::milliseconds on_connect_timeout{5'000};
    /// Unset: 1 s, or half of `acquire.timeout` if that is shorter, and at least 1 ms. Given, and where there is such a
    /// hook, it is to be shorter than `acquire.timeout`: the pool's constructor and `reconfigure` look.
    std::optional<std::chrono::milliseconds> before_acquire_timeout{};
    std::chrono::milliseconds after_release_timeout{1'000};
    std::chrono::milliseconds before_close_timeout{500};

    bool operator==(const hook_settings&) const = default;
};

/// The end of the pool.
struct close_settings {
    /// From `pool::close()` on the pool says that it is draining, and lends on for so long, until load balancers send
    /// nobody any more. 0: it refuses at once.
    std::chrono::milliseconds preclose_delay{0};

    bool operator==(const close_settings&) const = default;
};

/// Everything that a pool can be told. A plain aggregate: each default is usable.
struct pool_settings {
    /// What the pool is called in logs and errors.
    std::string name = "main";
    size_settings size;
    connect_settings connect;
    recovery_settings recovery;
    acquire_settings acquire;
    lifetime_settings lifetime;
    validation_settings validation;
    query_settings query;
    prepare_settings prepare;
    reset_settings reset;
    lease_settings lease;
    hook_settings hooks;
    close_settings close;

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

/// The time-out of a sign of life, given or derived.
[[nodiscard]] std::chrono::milliseconds validation_timeout(const pool_settings& settings) noexcept;
/// The time-out of a `before_acquire` hook, given or derived.
[[nodiscard]] std::chrono::milliseconds before_acquire_timeout(const pool_settings& settings) noexcept;
/// The time between two signs of life of an idle connection, given or derived. 0: never.
[[nodiscard]] std::chrono::milliseconds keepalive_interval(const lifetime_settings& lifetime) noexcept;

/// Every problem of `settings` that can be seen without a server; empty if there is none. The URL is not read here:
/// the pool's constructor asks libpq.
[[nodiscard]] std::vector<settings_problem> validate(const pool_settings& settings);

}  // namespace trunkline
