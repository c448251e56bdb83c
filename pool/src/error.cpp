#include "pg/statement_text.hpp"

#include <trunkline/error.hpp>

#include <cstdio>
#include <utility>

namespace trunkline {

namespace {

class pool_category_impl final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "trunkline"; }
    std::string message(int value) const override {
        switch (static_cast<pool_errc>(value)) {
        case pool_errc::acquire_timeout: return "acquire timed out";
        case pool_errc::queue_full: return "too many callers wait already";
        case pool_errc::closed: return "the pool is closed";
        case pool_errc::overloaded: return "overloaded";
        case pool_errc::suspended: return "the pool is suspended";
        case pool_errc::would_deadlock: return "all who hold a connection wait for another one";
        case pool_errc::unavailable: return "no connection can be opened";
        case pool_errc::auth_failed: return "the server refuses the login";
        case pool_errc::too_many_connections: return "the server has no room for a connection";
        case pool_errc::refused_by_hook: return "refused by the before_acquire hook";
        case pool_errc::connect_timeout: return "connect timed out";
        case pool_errc::host_not_found: return "host not found";
        case pool_errc::connect_failed: return "connect failed";
        case pool_errc::connection_lost: return "connection lost";
        case pool_errc::operation_in_progress: return "the connection runs another operation";
        case pool_errc::query_timeout: return "query timed out";
        case pool_errc::lease_released: return "the lease holds no connection";
        case pool_errc::lease_expired: return "the lease has expired";
        case pool_errc::too_large: return "statement or parameter too large";
        case pool_errc::invalid_text: return "text holds a NUL byte";
        case pool_errc::too_many_parameters: return "more than 65535 parameters";
        case pool_errc::unsupported_statement: return "the statement cannot run in this way";
        case pool_errc::wrong_type: return "wrong type";
        case pool_errc::unexpected_null: return "unexpected NULL";
        case pool_errc::no_such_column: return "no such column";
        case pool_errc::value_out_of_range: return "value out of range";
        case pool_errc::no_such_row: return "no such row";
        case pool_errc::pipeline_aborted: return "undone, or not run: another statement of its pipeline failed";
        case pool_errc::invalid_value: return "invalid value";
        case pool_errc::transaction_ended: return "the transaction is over";
        case pool_errc::transaction_nested: return "an inner transaction is open";
        case pool_errc::transaction_aborted: return "the transaction had failed, and was rolled back";
        case pool_errc::commit_unknown: return "the outcome of the COMMIT is unknown";
        case pool_errc::notifications_missed: return "notifications were missed";
        case pool_errc::copy_ended: return "the COPY has ended";
        }
        return "unknown error";
    }
};

std::string one_line(const diagnostics& said) {
    std::string text = said.severity;
    text += text.empty() ? "" : ": ";
    text += said.message;
    if (!said.detail.empty()) {
        text += "; detail: " + said.detail;
    }
    if (!said.hint.empty()) {
        text += "; hint: " + said.hint;
    }
    return text;
}

std::string seconds(std::chrono::nanoseconds value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(value).count());
    return text;
}

std::string picture(const pool_counts& counts) {
    return std::to_string(counts.total) + " of " + std::to_string(counts.max) +
           " connections: " + std::to_string(counts.leased) + " leased, " + std::to_string(counts.idle) + " idle, " +
           std::to_string(counts.connecting) + " connecting, " + std::to_string(counts.resetting) + " resetting, " +
           std::to_string(counts.closing) + " closing; " + std::to_string(counts.waiting) + " callers waiting";
}

/// The server's own words with their code, or what went wrong and where.
std::string headline(const error_code& code, const std::string& context) {
    if (context.empty()) {
        return code.message();
    }
    return code.category() == sqlstate_category() ? context + " (" + code.message() + ")"
                                                  : code.message() + ": " + context;
}

/// Where in its statement the server saw the error.
std::string place_of(const diagnostics& said, std::string_view statement) {
    const auto place = said.position > 0 ? "at character " + std::to_string(said.position) + " of" : std::string{"in"};
    return "; " + place + " the statement: " + std::string{statement};
}

std::string full_story(std::string_view pool_name, std::chrono::nanoseconds waited, const pool_counts& counts,
                       const connect_failure* last) {
    std::string text = "pool \"" + std::string{pool_name} + "\", after " + seconds(waited) + ", " + picture(counts);
    if (last != nullptr) {
        const auto age = std::chrono::steady_clock::now() - last->when;
        text += "; last connect error " + seconds(age) + " ago: " + last->message;
        text += last->sqlstate.empty() ? "" : " (SQLSTATE " + last->sqlstate + ")";
    }
    return text;
}

diagnostics words_of(const connect_failure* last) {
    diagnostics said;
    if (last != nullptr) {
        said.message = last->message;
        said.sqlstate = last->sqlstate;
    }
    return said;
}

}  // namespace

const boost::system::error_category& pool_category() noexcept {
    static const pool_category_impl category;
    return category;
}

error::error(error_code code, diagnostics what_the_server_said)
    : error{code, one_line(what_the_server_said), std::move(what_the_server_said)} {}

error::error(error_code code, diagnostics what_the_server_said, std::string_view statement) : system_error{code} {
    const auto kept = pg::beginning_of(statement);
    auto what = headline(code, one_line(what_the_server_said)) + place_of(what_the_server_said, kept);
    story_ = std::make_shared<const story>(story{std::move(what_the_server_said), std::move(what), std::string{kept}});
}

error::error(error_code code, const std::string& context, diagnostics what_the_server_said)
    : system_error{code},
      story_{std::make_shared<const story>(story{std::move(what_the_server_said), headline(code, context)})} {}

acquire_error::acquire_error(pool_errc reason, std::string_view pool_name, std::chrono::nanoseconds waited,
                             const pool_counts& counts, std::shared_ptr<const connect_failure> last)
    : error{reason, full_story(pool_name, waited, counts, last.get()), words_of(last.get())},
      reason_{reason},
      waited_{waited},
      counts_{counts},
      last_{std::move(last)} {}

}  // namespace trunkline
