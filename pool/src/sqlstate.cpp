#include <trunkline/error.hpp>
#include <trunkline/sqlstate.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace trunkline {

namespace {

std::string characters_of(int value) {
    if (value < 0) {
        return "?????";
    }
    std::string code(5, '0');
    for (std::size_t i = 5; i-- > 0; value /= 36) {
        const int digit = value % 36;
        code[i] = static_cast<char>(digit < 10 ? '0' + digit : 'A' + digit - 10);
    }
    return code;
}

struct named_code {
    sqlstate code;
    const char* meaning;
};

constexpr std::array meanings{
    named_code{sqlstate::unique_violation, "unique violation"},
    named_code{sqlstate::foreign_key_violation, "foreign key violation"},
    named_code{sqlstate::not_null_violation, "not-null violation"},
    named_code{sqlstate::check_violation, "check violation"},
    named_code{sqlstate::serialization_failure, "serialization failure"},
    named_code{sqlstate::deadlock_detected, "deadlock detected"},
    named_code{sqlstate::read_only_transaction, "read-only transaction"},
    named_code{sqlstate::syntax_error, "syntax error"},
    named_code{sqlstate::undefined_table, "undefined table"},
    named_code{sqlstate::undefined_column, "undefined column"},
    named_code{sqlstate::insufficient_privilege, "insufficient privilege"},
    named_code{sqlstate::invalid_authorization, "invalid authorization"},
    named_code{sqlstate::invalid_password, "invalid password"},
    named_code{sqlstate::invalid_catalog_name, "no such database"},
    named_code{sqlstate::too_many_connections, "too many connections"},
    named_code{sqlstate::query_canceled, "query cancelled"},
    named_code{sqlstate::admin_shutdown, "shutdown by the administrator"},
    named_code{sqlstate::crash_shutdown, "shutdown after a crash"},
    named_code{sqlstate::cannot_connect_now, "cannot connect now"},
    named_code{sqlstate::idle_session_timeout, "idle session time-out"},
};

class sqlstate_category_impl final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "sqlstate"; }
    std::string message(int value) const override {
        const auto* known = std::find_if(meanings.begin(), meanings.end(),
                                         [&](const named_code& m) { return static_cast<int>(m.code) == value; });
        const auto code = "SQLSTATE " + characters_of(value);
        return known == meanings.end() ? code : code + " (" + known->meaning + ")";
    }
};

/// The one table of policies: a SQLSTATE, or a class of them (two characters), and what to do about it.
struct policy {
    std::string_view code;
    errc condition;
};

constexpr std::array policies{
    policy{"40001", errc::retryable},
    policy{"40P01", errc::retryable},
    policy{"08003", errc::connection_lost},
    policy{"08006", errc::connection_lost},
    policy{"08007", errc::connection_lost},
    policy{"57P01", errc::connection_lost},
    policy{"57P02", errc::connection_lost},
    policy{"57P05", errc::connection_lost},
    policy{"53", errc::overloaded},
    policy{"28", errc::login_refused},
    policy{"3D000", errc::login_refused},
    policy{"08001", errc::server_unavailable},
    policy{"08004", errc::server_unavailable},
    policy{"57P01", errc::server_unavailable},
    policy{"57P02", errc::server_unavailable},
    policy{"57P03", errc::server_unavailable},
};

bool sqlstate_means(int value, errc condition) {
    const auto code = characters_of(value);
    return std::any_of(policies.begin(), policies.end(), [&](const policy& p) {
        return p.condition == condition && std::string_view{code}.substr(0, p.code.size()) == p.code;
    });
}

bool pool_error_means(pool_errc value, errc condition) {
    switch (value) {
    case pool_errc::connection_lost: return condition == errc::connection_lost;
    case pool_errc::acquire_timeout:
    case pool_errc::queue_full:
    case pool_errc::overloaded: return condition == errc::overloaded;
    case pool_errc::too_many_connections: return condition == errc::overloaded || condition == errc::server_unavailable;
    case pool_errc::connect_timeout:
    case pool_errc::host_not_found:
    case pool_errc::connect_failed:
    case pool_errc::unavailable: return condition == errc::server_unavailable;
    case pool_errc::auth_failed: return condition == errc::login_refused;
    case pool_errc::closed:
    case pool_errc::operation_in_progress:
    case pool_errc::suspended:
    case pool_errc::would_deadlock:
    case pool_errc::refused_by_hook:
    case pool_errc::query_timeout:
    case pool_errc::lease_released:
    case pool_errc::lease_expired:
    case pool_errc::too_large:
    case pool_errc::invalid_text:
    case pool_errc::too_many_parameters:
    case pool_errc::unsupported_statement:
    case pool_errc::wrong_type:
    case pool_errc::unexpected_null:
    case pool_errc::no_such_column:
    case pool_errc::value_out_of_range:
    case pool_errc::invalid_value:
    case pool_errc::no_such_row:
    case pool_errc::pipeline_aborted:
    case pool_errc::transaction_ended:
    case pool_errc::transaction_nested:
    case pool_errc::transaction_aborted:
    case pool_errc::commit_unknown:
    case pool_errc::notifications_missed:
    case pool_errc::copy_ended: return false;
    }
    return false;
}

bool system_error_means(int value, errc condition) {
    switch (value) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOENT:  // no UNIX socket there
    case ETIMEDOUT: return condition == errc::server_unavailable;
    case ECONNRESET:
    case EPIPE: return condition == errc::connection_lost;
    default: return false;
    }
}

class condition_category_impl final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "trunkline.condition"; }
    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
        case errc::retryable: return "worth doing again";
        case errc::connection_lost: return "connection lost";
        case errc::overloaded: return "overloaded";
        case errc::login_refused: return "login refused";
        case errc::server_unavailable: return "server unavailable";
        }
        return "unknown condition";
    }
    bool equivalent(const error_code& code, int value) const noexcept override {
        const auto condition = static_cast<errc>(value);
        if (code.category() == sqlstate_category()) {
            return sqlstate_means(code.value(), condition);
        }
        if (code.category() == pool_category()) {
            return pool_error_means(static_cast<pool_errc>(code.value()), condition);
        }
        if (code.category() == boost::system::system_category() ||
            code.category() == boost::system::generic_category()) {
            return system_error_means(code.value(), condition);
        }
        return false;
    }
};

}  // namespace

const boost::system::error_category& sqlstate_category() noexcept {
    static const sqlstate_category_impl category;
    return category;
}

const boost::system::error_category& condition_category() noexcept {
    static const condition_category_impl category;
    return category;
}

std::string to_string(sqlstate code) { return characters_of(static_cast<int>(code)); }

}  // namespace trunkline
