#include "batch.hpp"
#include "session_link.hpp"
#include "statement_class.hpp"

#include <trunkline/sqlstate.hpp>

#include <algorithm>

// A pipeline's statements: sent as the server answers and the network takes them.

namespace trunkline::pg {

/// Sends more of the pipeline that is under way, if there is one and there is room. True: it has sent some.
bool session::link::feed(news& told) {
    bool any = false;
    std::size_t unsent = 0;
    while (connection_ && !writing_ && current_ != nullptr && current_->pieces != nullptr && !current_->code) {
        auto& from = *current_->pieces;
        const bool room = !from.is_all_sent() && from.under_way() < deepest_batch;
        if (room && unsent < most_unsent) {
            const operation& next = from.pieces[from.sent];
            unsent += size_of(next);
            count_statement();
            if (prepared_.size() > 0 && forgets_prepared(next.sql)) {
                prepared_.doubt_all();
            }
            armed_.certain = !note_footprint(next) && armed_.certain;
            if (!send_piece(connection_.get(), from, syncs_left_)) {
                lose(told);
            }
            any = true;
            continue;
        }
        if (unsent == 0) {
            break;
        }
        unsent = 0;
        flush(told);
    }
    return any;
}

/// No more answers come for its statements, mostly because there are all.
void session::link::settle_batch(batch& ended) {
    const auto answered = ended.pieces.first(ended.answered);
    const bool undone =
        ended.atomic && std::ranges::any_of(answered, [](const auto& one) { return one.code.failed(); });
    const bool late = server_deadline_ != never && clock::now() >= server_deadline_;
    for (operation& piece : ended.pieces) {
        if (late && piece.code == sqlstate::query_canceled) {
            piece.code = pool_errc::query_timeout;  // the server noticed first; its own words stay
            policy_->timeouts.fetch_add(1, std::memory_order_relaxed);
        }
        if (piece.code == sqlstate::read_only_transaction) {
            note_read_only();
        }
        if (undone && !piece.code) {
            fail(piece, pool_errc::pipeline_aborted, {});
        }
    }
}

/// What was sent of a pipeline that is given up has to be answered, and nothing follows. False: that cannot be.
bool session::link::give_up_batch() noexcept {
    if (expected_.size() == 1) {  // the answers that come now are nobody's, and some may be those behind an error
        own_.code = pool_errc::pipeline_aborted;
    }
    if (syncs_left_ > 0) {
        return true;
    }
    ++syncs_left_;
    return PQpipelineSync(connection_.get()) == 1;
}

}  // namespace trunkline::pg
