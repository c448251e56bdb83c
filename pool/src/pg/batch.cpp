#include "batch.hpp"

#include "diagnosis.hpp"
#include "statement_class.hpp"

#include <string>
#include <utility>

namespace trunkline::pg {

namespace {

/// The failure of a piece, or the session's last words, which are the whole's. True: it was the piece's.
bool take_failure(operation& whole, operation& piece, const PGresult* got) {
    auto said = diagnosis_of(got);
    const auto code = code_of(said);
    const bool is_last = ends_session(said) || code == pool_errc::connection_lost;
    operation& whose = is_last ? whole : piece;
    if (!whose.code) {
        fail(whose, code, std::move(said));
    }
    return !is_last;
}

/// One result of the next piece. False: none that belongs here.
bool take(operation& whole, PGresult* got) {
    batch& into = *whole.pieces;
    operation& piece = into.pieces[into.answered];
    result taken{got, piece.sql};
    into.heard = true;
    switch (PQresultStatus(got)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        if (!piece.code) {
            piece.rows = std::move(taken);
        }
        return true;
    case PGRES_PIPELINE_ABORTED:  // what stood behind an error
        if (!piece.code) {
            fail(piece, pool_errc::pipeline_aborted, {});
        }
        return into.atomic;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE: into.heard = take_failure(whole, piece, got); return true;
    default: return false;
    }
}

bool is_failure(const PGresult* got) noexcept {
    return PQresultStatus(got) == PGRES_FATAL_ERROR || PQresultStatus(got) == PGRES_BAD_RESPONSE;
}

/// Whether what comes now answers a Sync, where the server commits, and no statement.
bool is_at_sync(const batch& now) noexcept {
    return !now.heard && (now.atomic ? now.is_all_answered() : now.answered > now.settled);
}

}  // namespace

error_code check_batch(const batch& what, diagnostics& said) {
    for (std::size_t i = 0; i < what.pieces.size(); ++i) {
        auto refused = check_statement(what.pieces[i], said);
        if (!refused && is_copy(what.pieces[i].sql)) {
            said.message = "COPY cannot stand in a pipeline";
            refused = pool_errc::unsupported_statement;
        }
        if (refused) {
            said.message = "statement " + std::to_string(i + 1) + " of the pipeline: " + said.message;
            return refused;
        }
    }
    return {};
}

bool send_piece(PGconn* to, batch& from, std::size_t& syncs) {
    // Counted first: where libpq fails on a broken connection a part may have gone out.
    if (!send_statement(to, from.pieces[from.sent++])) {
        return false;
    }
    if (!from.atomic || from.is_all_sent()) {
        ++syncs;
        return PQpipelineSync(to) == 1;
    }
    // Without a Sync the server keeps its answers to itself until it is told otherwise.
    return from.under_way() < deepest_batch || PQsendFlushRequest(to) == 1;
}

progress collect_batch(PGconn* from, operation& whole, std::size_t& syncs) {
    batch& into = *whole.pieces;
    bool between = false;
    // Without anything under way libpq has nothing to say, and says so for ever.
    while ((into.under_way() > 0 || syncs > 0) && PQisBusy(from) == 0) {
        PGresult* const got = PQgetResult(from);
        if (got == nullptr) {
            if (std::exchange(into.heard, false)) {
                ++into.answered;
                between = false;
            } else if (std::exchange(between, true)) {  // never look for what does not come
                return progress::out_of_step;
            }
            continue;
        }
        between = false;
        if (PQresultStatus(got) == PGRES_PIPELINE_SYNC) {
            PQclear(got);
            --syncs;
            if (into.heard || (into.atomic ? !into.is_all_answered() : into.under_way() != syncs)) {
                return progress::out_of_step;
            }
            into.settled = into.answered;
            if (into.is_all_answered()) {
                return progress::ended;
            }
        } else if (is_failure(got) && is_at_sync(into)) {  // a deferred constraint, say: what it commits is undone
            const result taken{got};
            (void)take_failure(whole, into.pieces[into.answered - 1], got);
        } else if (into.answered == into.sent) {
            PQclear(got);
            return progress::out_of_step;
        } else if (!take(whole, got)) {
            return progress::out_of_step;
        }
    }
    return progress::waiting;
}

std::size_t size_of(const operation& what) noexcept {
    constexpr std::size_t frame = 64;
    const std::size_t values = what.values != nullptr ? what.values->bytes().size() + 8 * what.values->size() : 0;
    return frame + what.sql.size() + values;
}

}  // namespace trunkline::pg
