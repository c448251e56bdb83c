#include "pg/session.hpp"
#include "resumption/suspension.hpp"

#include <trunkline/connection.hpp>
#include <trunkline/error.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <new>

namespace trunkline {

namespace {

/// A statement under way, in the frame of `connection::run`. That frame must stay under 1,020 bytes, or Asio takes each
/// from malloc instead of its own recycler.
struct running : pg::operation {
    running() noexcept {
        complete = [](pg::operation& self) { static_cast<running&>(self).sleeper.dispatch(); };
        drop = [](pg::operation& self) noexcept { static_cast<running&>(self).sleeper.drop(); };
    }

    /// False: there was no memory for it, and the statement ends with that.
    bool cancel_by_slot(const std::shared_ptr<pg::session>& session) noexcept {
        try {
            if (auto slot = sleeper.slot(); slot.is_connected()) {
                slot.assign([this, session](boost::asio::cancellation_type) { session->cancel(*this); });
            }
            return true;
        } catch (const std::bad_alloc&) {
            code = make_error_code(boost::system::errc::not_enough_memory);
            sleeper.try_post();
            return false;
        }
    }

    detail::suspension sleeper;
};

}  // namespace

boost::asio::awaitable<result> connection::run(query_options options, std::string sql, parameters values) {
    if (session_ == nullptr) {
        throw error{pool_errc::lease_released, diagnostics{}};
    }
    running statement;
    statement.sql = sql;
    statement.values = &values;
    statement.timeout = options.timeout;
    co_await statement.sleeper.until([&] {
        // A copy of its own: the frame and the lease may be gone before `start` has returned.
        const auto session = session_;
        if (statement.cancel_by_slot(session)) {
            session->start(statement);
        }
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
