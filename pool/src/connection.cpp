#include "pg/session.hpp"
#include "running_statement.hpp"

#include <trunkline/connection.hpp>
#include <trunkline/error.hpp>

namespace trunkline {

boost::asio::awaitable<result> connection::run(query_options options, std::string sql, parameters values) {
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    detail::running_statement statement;
    statement.sql = sql;
    statement.values = &values;
    statement.timeout = options.timeout;
    co_await statement.sleeper.until([&] {
        // With a copy of its own: the frame and the lease may be gone before `start` has returned.
        statement.start_on(session_);
    });
    if (statement.code) {
        throw error{statement.code, std::move(statement.said)};
    }
    co_return std::move(statement.rows);
}

boost::asio::awaitable<std::uint64_t> connection::count(boost::asio::awaitable<result> running) {
    const result done = co_await std::move(running);
    co_return done.rows_affected();
}

int connection::backend_pid() const noexcept { return session_ != nullptr ? session_->backend_pid() : 0; }

std::string connection::server_parameter(const char* name) const {
    return session_ != nullptr ? session_->server_parameter(name) : std::string{};
}

}  // namespace trunkline
