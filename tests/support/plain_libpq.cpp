#include "support/plain_libpq.hpp"

#include <libpq-fe.h>

#include <stdexcept>

namespace trunkline::test {

namespace {

struct clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};

std::string quoted(std::string_view text) {
    std::string literal = "'";
    for (const char c : text) {
        literal += c == '\'' ? "''" : std::string(1, c);
    }
    return literal + "'";
}

}  // namespace

plain_connection::plain_connection(const std::string& url) : connection_{PQconnectdb(url.c_str())} {
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
        throw std::runtime_error{PQerrorMessage(connection_.get())};
    }
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
}

void plain_connection::finish::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }

plain_connection::rows plain_connection::execute(const std::string& sql) {
    const std::unique_ptr<PGresult, clear> result{PQexec(connection_.get(), sql.c_str())};
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        throw std::runtime_error{PQerrorMessage(connection_.get())};
    }
    rows all;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
        auto& values = all.emplace_back();
        for (int column = 0; column < PQnfields(result.get()); ++column) {
            values.emplace_back(PQgetvalue(result.get(), row, column));
        }
    }
    return all;
}

std::string plain_connection::scalar(const std::string& sql) {
    const auto all = execute(sql);
    if (all.empty() || all.front().empty()) {
        throw std::runtime_error{"no row: " + sql};
    }
    return all.front().front();
}

std::size_t plain_connection::count(const std::string& sql) { return std::stoul(scalar(sql)); }

int plain_connection::backend_pid() const { return PQbackendPID(connection_.get()); }

std::string scalar(const std::string& url, const std::string& sql) { return plain_connection{url}.scalar(sql); }

std::size_t sessions_of(plain_connection& observer, std::string_view application_name) {
    return observer.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = " + quoted(application_name));
}

std::size_t terminate_sessions_of(plain_connection& observer, std::string_view application_name) {
    return observer.count("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = " +
                          quoted(application_name));
}

}  // namespace trunkline::test
