#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace trunkline::test {

/// One blocking libpq session, so that tests see the server with other eyes than the pool's. One thread at a time.
/// Errors: `std::runtime_error` with libpq's words.
class plain_connection {
public:
    using rows = std::vector<std::vector<std::string>>;

    explicit plain_connection(const std::string& url);

    /// Runs one statement or several; gives the last one's rows as text, NULL as "".
    rows execute(const std::string& sql);
    /// The first column of the first row. Throws if there is none.
    std::string scalar(const std::string& sql);
    /// The same as a number.
    std::size_t count(const std::string& sql);
    [[nodiscard]] int backend_pid() const;

private:
    struct finish {
        void operator()(pg_conn* connection) const noexcept;
    };
    std::unique_ptr<pg_conn, finish> connection_;
};

/// One statement on a session of its own.
std::string scalar(const std::string& url, const std::string& sql);

/// The sessions of that application, as pg_stat_activity shows them: the truth outside the pool.
std::size_t sessions_of(plain_connection& observer, std::string_view application_name);

/// Ends the sessions of that application from the server's side; gives how many.
std::size_t terminate_sessions_of(plain_connection& observer, std::string_view application_name);

}  // namespace trunkline::test
