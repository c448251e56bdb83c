#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace trunkline::test {

/// How PostgreSQL is told to stop.
enum class stop_mode {
    smart,      ///< wait until all sessions have ended by themselves
    fast,       ///< roll back and end all sessions: they see 57P01
    immediate,  ///< drop everything, as a crash would
};

struct postgres_options {
    std::size_t max_connections = 120;
    /// More lines for postgresql.conf: `{"log_statement", "all"}`.
    std::vector<std::pair<std::string, std::string>> settings{};
    /// Serve TLS too, with a certificate for localhost and 127.0.0.1 that it signs itself.
    bool tls = false;
    /// The folder with `initdb` and `postgres`. Empty: the newest that is installed.
    std::filesystem::path binaries{};
};

/// A throwaway PostgreSQL: a cluster of its own in a new temporary directory, on a UNIX socket in there and on a free
/// port of 127.0.0.1, under a random SCRAM password, run as an unprivileged user also when the owner is root. Nothing
/// is flushed to the disk. It and its directory vanish with this object, and with this process however that one ends,
/// SIGKILL included: a helper process waits for that.
///
/// Threads: members may be called from any thread; calls that change the server run one after another.
/// Errors: `std::runtime_error` with what to do about it and the tail of the server's log.
class postgres_server {
public:
    static constexpr std::string_view user = "postgres";
    static constexpr std::string_view database = "trunkline";

    /// Makes and starts the server; returns when it takes connections. About one second.
    explicit postgres_server(postgres_options options = {});
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;
    ~postgres_server();

    /// The database over TCP, password included. Ends without a query part: append `?sslmode=require`.
    [[nodiscard]] std::string url() const { return url_with_password(password_); }
    /// The same with another password.
    [[nodiscard]] std::string url_with_password(std::string_view password) const;
    /// The database over the UNIX socket, password included. Ends inside a query part: append `&…`.
    [[nodiscard]] std::string socket_url() const { return socket_url_with_password(password_); }
    [[nodiscard]] std::string socket_url_with_password(std::string_view password) const;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const std::string& password() const noexcept { return password_; }
    /// Everything that belongs to the server; the UNIX socket lies here.
    [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
    [[nodiscard]] std::filesystem::path data_directory() const { return directory_ / "data"; }
    [[nodiscard]] std::filesystem::path log_file() const { return directory_ / "log"; }
    /// With `tls`: the certificate, which also serves as `sslrootcert`.
    [[nodiscard]] std::filesystem::path certificate() const { return directory_ / "server.crt"; }
    /// The last lines of the server's log.
    [[nodiscard]] std::string log_tail(std::size_t lines = 20) const;

    /// The postmaster; 0 while stopped.
    [[nodiscard]] pid_t pid() const;
    /// The helper that watches over this process.
    [[nodiscard]] pid_t supervisor() const noexcept { return supervisor_; }

    /// Stops the server and returns when it has ended. Throws if that takes more than 30 s. Nothing happens if it is
    /// stopped already.
    void stop(stop_mode mode = stop_mode::fast);
    /// Only sends the signal.
    void begin_stop(stop_mode mode);
    /// Starts it again, on the same port, and returns when it takes connections.
    void start();
    void restart(stop_mode mode = stop_mode::fast);

    /// Freezes the postmaster and all its processes: connections stay open, nothing answers.
    void pause();
    void resume();

    /// Starts a PgBouncer in transaction mode in front of the server, which gives its clients `sessions` of the server's in
    /// turn, and returns its URL. It ends with the server. Is there none, see `pooler_is_installed`.
    std::string start_pooler(std::size_t sessions);
    [[nodiscard]] static bool pooler_is_installed();

private:
    std::string ask(const std::string& request) const;
    void end() noexcept;

    mutable std::mutex mutex_;
    std::string password_;
    std::filesystem::path directory_;
    std::uint16_t port_ = 0;
    int channel_ = -1;
    pid_t owner_ = 0;
    pid_t supervisor_ = 0;
};

}  // namespace trunkline::test
