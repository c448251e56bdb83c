#include "statement.hpp"

#include "diagnosis.hpp"
#include "statement_class.hpp"

#include <boost/container/small_vector.hpp>

#include <cstring>
#include <string>
#include <utility>

namespace trunkline::pg {

namespace {

// The server refuses, and ends the session over, a message longer than its MaxAllocSize (1 GiB - 1).
constexpr std::size_t longest_message = 0x3fff'ffff;
constexpr std::size_t most_parameters = 65'535;  // the protocol counts them in 16 bits

/// The server has no statement of that name, has one already, or its tables have changed since it was prepared.
bool blames_plan(const PGresult* failure, std::string_view name) {
    const auto field = [&](int code) {
        const char* const text = PQresultErrorField(failure, code);
        return std::string_view{text != nullptr ? text : ""};
    };
    const auto state = field(PG_DIAG_SQLSTATE);
    if (state == "26000" || state == "42P05") {  // which a function of the user's may raise too
        return field(PG_DIAG_MESSAGE_PRIMARY).find(name) != std::string_view::npos;
    }
    // One with a context was raised inside a function, whose other doings cannot be undone here.
    return state == "0A000" && field(PG_DIAG_SOURCE_FUNCTION) == "RevalidateCachedQuery" &&
           field(PG_DIAG_CONTEXT).empty();
}

bool holds_nul(const char* text, std::size_t length) { return std::memchr(text, 0, length) != nullptr; }

}  // namespace

void fail(operation& what, error_code code, diagnostics said) {
    what.code = code;
    what.said = std::move(said);
    what.rows = result{};
}

error_code check_statement(const operation& what, diagnostics& said) {
    const auto refuse = [&](pool_errc why, std::string message) {
        said.message = std::move(message);
        return error_code{why};
    };
    if (holds_nul(what.sql.data(), what.sql.size())) {
        return refuse(pool_errc::invalid_text, "the statement holds a NUL byte");
    }
    const std::size_t count = what.values != nullptr ? what.values->size() : 0;
    if (what.is_copy && !is_single(what.sql)) {  // it goes by the simple protocol, which would run both
        return refuse(pool_errc::unsupported_statement, "another statement stands behind a COPY; nothing was sent");
    }
    if (count > most_parameters) {
        return refuse(pool_errc::too_many_parameters,
                      std::to_string(count) + " parameters; the protocol takes " + std::to_string(most_parameters));
    }
    const std::size_t bytes = what.values != nullptr ? what.values->bytes().size() : 0;
    constexpr std::size_t frame = 64;  // more than the fixed parts of Parse and Bind
    if (what.sql.size() + 4 * count + frame > longest_message || bytes + 8 * count + frame > longest_message) {
        return refuse(pool_errc::too_large, "the statement has " + std::to_string(what.sql.size()) +
                                                " bytes and its parameters " + std::to_string(bytes) +
                                                "; the server takes 1 GiB of each");
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto& one = what.values->entries()[i];
        const auto* const text = reinterpret_cast<const char*>(what.values->bytes().data()) + one.offset;
        if (!one.binary && one.length > 0 && holds_nul(text, static_cast<std::size_t>(one.length))) {
            return refuse(pool_errc::invalid_text,
                          "parameter $" + std::to_string(i + 1) + " holds a NUL byte, which text cannot; send bytea");
        }
    }
    return {};
}

bool send_statement(PGconn* to, const operation& what) {
    constexpr int binary = 1;
    boost::container::small_vector<Oid, 8> types;
    boost::container::small_vector<const char*, 8> values;
    boost::container::small_vector<int, 8> lengths;
    boost::container::small_vector<int, 8> formats;
    if (what.values != nullptr) {
        const auto* const bytes = reinterpret_cast<const char*>(what.values->bytes().data());
        for (const auto& one : what.values->entries()) {
            types.push_back(one.type);
            // An empty list of bytes has no address, and libpq takes null for NULL.
            values.push_back(one.length < 0 ? nullptr : bytes != nullptr ? bytes + one.offset : "");
            lengths.push_back(one.length);
            formats.push_back(one.binary ? binary : 0);
        }
    }
    const int count = static_cast<int>(values.size());
    if (what.is_copy && count == 0) {
        // Not as the others, with a Sync behind it: the end of the data has one of its own, and a COPY that fails before it
        // reads any would be answered by two ReadyForQuery.
        return PQsendQuery(to, what.sql.data()) == 1;
    }
    // The statement is followed by a NUL: `operation::sql` says so.
    if (what.name == nullptr) {
        return PQsendQueryParams(to, what.sql.data(), count, types.data(), values.data(), lengths.data(),
                                 formats.data(), binary) == 1;
    }
    return (what.preparing == 0 || PQsendPrepare(to, what.name, what.sql.data(), count, types.data()) == 1) &&
           PQsendQueryPrepared(to, what.name, count, values.data(), lengths.data(), formats.data(), binary) == 1;
}

progress collect(PGconn* from, operation& into, bool in_pipeline) {
    bool between = false;  // two statements of a pipeline
    while (PQisBusy(from) == 0) {
        PGresult* const got = PQgetResult(from);
        if (got == nullptr) {
            if (!in_pipeline) {
                return progress::ended;
            }
            if (std::exchange(between, true)) {  // never look for a synchronisation that does not come
                return progress::out_of_step;
            }
            continue;
        }
        between = false;
        result taken{got, into.sql};
        switch (PQresultStatus(got)) {
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
            if (into.preparing > 0) {
                --into.preparing;
            } else if (!into.code) {
                into.rows = std::move(taken);
            }
            break;
        case PGRES_SINGLE_TUPLE:  // of a stream that was given up
            break;
        case PGRES_PIPELINE_SYNC: return in_pipeline ? progress::ended : progress::out_of_step;
        case PGRES_PIPELINE_ABORTED:  // what stood behind an error
            if (!into.code) {
                return progress::out_of_step;
            }
            break;
        case PGRES_COPY_IN: return in_pipeline ? progress::out_of_step : progress::copy_in;
        case PGRES_COPY_OUT: return in_pipeline ? progress::out_of_step : progress::copy_out;
        case PGRES_COPY_BOTH: return progress::out_of_step;
        default:
            if (!into.code) {
                into.plan_lost = into.name != nullptr && blames_plan(got, into.name);
                auto said = diagnosis_of(got);
                const auto code = code_of(said);
                fail(into, code, std::move(said));
            }
            break;
        }
    }
    return progress::waiting;
}

bool refuse_copy(PGconn* to, const char* why) noexcept { return PQputCopyEnd(to, why) == 1; }

bool drop_copied_rows(PGconn* from) noexcept {
    for (;;) {
        char* row = nullptr;
        const int got = PQgetCopyData(from, &row, 1);
        if (got <= 0) {
            return got != 0;
        }
        PQfreemem(row);
    }
}

}  // namespace trunkline::pg
