#include "diagnosis.hpp"

#include <charconv>

namespace trunkline::pg {

namespace {

std::string field_of(const PGresult* said, int code) {
    const char* const text = PQresultErrorField(said, code);
    return text != nullptr ? std::string{text} : std::string{};
}

int number_of(const std::string& digits) {
    int value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

}  // namespace

diagnostics diagnosis_of(const PGresult* said) {
    diagnostics all;
    all.severity = field_of(said, PG_DIAG_SEVERITY_NONLOCALIZED);
    all.sqlstate = field_of(said, PG_DIAG_SQLSTATE);
    all.message = field_of(said, PG_DIAG_MESSAGE_PRIMARY);
    if (all.message.empty()) {
        all.message = one_line(PQresultErrorMessage(said));
    }
    all.detail = field_of(said, PG_DIAG_MESSAGE_DETAIL);
    all.hint = field_of(said, PG_DIAG_MESSAGE_HINT);
    all.constraint = field_of(said, PG_DIAG_CONSTRAINT_NAME);
    all.schema = field_of(said, PG_DIAG_SCHEMA_NAME);
    all.table = field_of(said, PG_DIAG_TABLE_NAME);
    all.column = field_of(said, PG_DIAG_COLUMN_NAME);
    all.position = number_of(field_of(said, PG_DIAG_STATEMENT_POSITION));
    return all;
}

void note_line_of_copy(diagnostics& of, const PGresult* said) {
    const auto context =
        '\n' + field_of(said, PG_DIAG_CONTEXT);  // innermost first: a trigger's line may stand in front
    if (const auto at = context.find("\nCOPY "); at != std::string::npos) {
        const auto end = context.find_first_of(":\n", at + 1);  // behind that stands the value
        of.detail += (of.detail.empty() ? "" : "; ") + context.substr(at + 1, end - at - 1);
    }
}

diagnostics diagnosis_of(const PGconn* connection) {
    diagnostics all;
    all.message = one_line(PQerrorMessage(connection));
    return all;
}

error_code code_of(const diagnostics& said) noexcept {
    const int value = sqlstate_value(said.sqlstate);
    return value > 0 ? error_code{value, sqlstate_category()} : error_code{pool_errc::connection_lost};
}

bool ends_session(const diagnostics& said) noexcept { return said.severity == "FATAL" || said.severity == "PANIC"; }

std::string one_line(std::string_view text) {
    std::string line;
    line.reserve(text.size());
    for (const char c : text) {
        const bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t';
        if (!space) {
            line += c;
        } else if (!line.empty() && line.back() != ' ') {
            line += ' ';
        }
    }
    if (!line.empty() && line.back() == ' ') {
        line.pop_back();
    }
    return line;
}

}  // namespace trunkline::pg
