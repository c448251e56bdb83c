#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace trunkline::test {

/// The last `lines` lines of a file; empty if there is none.
std::string tail_of(const std::filesystem::path& file, std::size_t lines);

/// One PostgreSQL cluster in a temporary directory, for a process that is its parent and has one thread. Members
/// throw `std::runtime_error`.
class postgres_cluster {
public:
    /// What to write into it.
    struct plan {
        std::filesystem::path binaries;
        std::string password;
        bool tls = false;
        std::vector<std::string> settings;  ///< lines of postgresql.conf
    };

    /// `interrupted` is asked again and again while the cluster waits for something; true: give up.
    explicit postgres_cluster(std::function<bool(std::chrono::milliseconds)> interrupted)
        : interrupted_{std::move(interrupted)} {}
    postgres_cluster(const postgres_cluster&) = delete;
    postgres_cluster& operator=(const postgres_cluster&) = delete;
    ~postgres_cluster() { destroy(); }

    /// Makes the directory and initdb's files in it, finds a free port and starts the server.
    void create(const plan& wanted);
    void start();
    /// Sends the signal; waits for the end if told so.
    void stop(int signal, bool wait);
    void pause_or_resume(int signal);
    /// Starts a PgBouncer in transaction mode in front of the server, with so many sessions of its own; ends with the
    /// cluster. Returns its port on 127.0.0.1.
    std::uint16_t start_pooler(const std::string& sessions, const std::string& password);
    /// Ends whatever runs and removes the directory. Called also when half of it exists.
    void destroy() noexcept;

    [[nodiscard]] pid_t pid();
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

private:
    void initialise(const plan& wanted);
    void make_certificate() const;
    void write_settings(const plan& wanted) const;
    void launch();
    bool wait_until_ready();
    void wait_until_stopped();
    bool wait_for_end(std::chrono::milliseconds at_most);

    std::function<bool(std::chrono::milliseconds)> interrupted_;
    std::filesystem::path binaries_;
    std::filesystem::path directory_;
    std::uint16_t port_ = 0;
    pid_t postmaster_ = 0;
};

}  // namespace trunkline::test
