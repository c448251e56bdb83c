#include "batch.hpp"
#include "session_link.hpp"

#include <trunkline/sqlstate.hpp>

// A pipeline's statements: sent as the server answers and the network takes them.

namespace trunkline::pg {

/// Sends more of the pipeline that is under way, if there is one and there is room. True: it has sent some.
bool session::link::feed(news& told) {
    bool any = false;
    std::size_t unsent = 0;
    while (connection_ && !writing_ && current_ != nullptr && current_->pieces != nullptr) {
        auto& from = *current_->pieces;
        const bool room = !from.is_all_sent() && from.under_way() < deepest_batch;
        if (room && unsent < most_unsent) {
            const operation& next = from.pieces[from.sent];
            unsent += size_of(next);
            count_statement();
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

/// All of its statements have been answered.
void session::link::settle_batch(batch& ended) {
    const bool late = server_deadline_ != never && clock::now() >= server_deadline_;
    for (operation& piece : ended.pieces) {
        if (late && piece.code == sqlstate::query_canceled) {
            piece.code = pool_errc::query_timeout;  // the server noticed first; its own words stay
            policy_->timeouts.fetch_add(1, std::memory_order_relaxed);
        }
        if (piece.code == sqlstate::read_only_transaction) {
            note_read_only();
        }
    }
}

/// What was sent of a pipeline that is given up has to be answered, and nothing follows. False: that cannot be.
bool session::link::give_up_batch() noexcept {
    own_.code = pool_errc::pipeline_aborted;  // the answers are nobody's; some may be those behind an error
    if (syncs_left_ > 0) {
        return true;
    }
    ++syncs_left_;
    return PQpipelineSync(connection_.get()) == 1;
}

}  // namespace trunkline::pg
