#include "session_link.hpp"

#include <trunkline/sqlstate.hpp>

#include <algorithm>
#include <string>
#include <utility>

// What a session prepares.

namespace trunkline::pg {

namespace {

#ifdef LIBPQ_HAS_CLOSE_PREPARED
bool send_close(PGconn* to, const char* name) noexcept { return PQsendClosePrepared(to, name) == 1; }
#else
bool send_close(PGconn* to, const char* name) {
    const auto sql = std::string{"DEALLOCATE "} + name;  // a name of our own: letters, digits and underscores
    return PQsendQueryParams(to, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 1;
}
#endif

std::span<const parameters::entry> entries_of(const operation& what) noexcept {
    return what.values != nullptr ? what.values->entries() : std::span<const parameters::entry>{};
}

}  // namespace

/// Whether and how a statement is prepared; notes that in `what`.
prepared_statements::choice session::link::plan(operation& what) {
    what.name = nullptr;
    what.preparing = 0;
    what.plan_lost = false;
    planned_ = nullptr;
    const auto by = policy_->preparing();
    // Behind a reset the session is outside any transaction.
    const auto status = expected_.empty() ? PQtransactionStatus(connection_.get()) : PQTRANS_IDLE;
    if (by.after_uses == 0 || what.warms || what.pieces != nullptr || what.sql.empty() || status == PQTRANS_INERROR) {
        return {};
    }
    auto chosen = prepared_.choose(what.sql, entries_of(what), status == PQTRANS_IDLE, by, policy_->known);
    planned_ = chosen.what;
    if (chosen.how != way::unnamed) {
        what.name = chosen.what->name.c_str();
    }
    if (chosen.how == way::prepare) {
        what.preparing = 1;
        policy_->prepares.fetch_add(1, std::memory_order_relaxed);
    }
    return chosen;
}

/// With a Sync of its own: should the server not have it any more, that concerns nobody. `what` may be null.
bool session::link::send_closing(const known_statement* what) {
    if (what == nullptr) {
        return true;
    }
    policy_->prepares_closed.fetch_add(1, std::memory_order_relaxed);
    expected_.push_back(unit::closing);
    return send_close(connection_.get(), what->name.c_str()) && PQpipelineSync(connection_.get()) == 1;
}

/// If `what` is to warm the session: prepares what the pool uses most, in front of it.
bool session::link::send_warming(operation& what) {
    if (!what.warms) {
        return true;
    }
    warming_ = policy_->statements_to_warm();
    what.preparing = warming_.size();
    return std::ranges::all_of(warming_, [&](const auto& one) {
        return PQsendPrepare(connection_.get(), one->name.c_str(), one->sql.c_str(),
                             static_cast<int>(one->types.size()), one->types.data()) == 1;
    });
}

/// What has become of a statement's preparation. True: it is prepared and sent once more.
bool session::link::settle_plan(operation& ended, news& told) {
    if (ended.warms) {
        settle_warming(ended);
        return false;
    }
    known_statement* const what = std::exchange(planned_, nullptr);
    if (what == nullptr) {
        return false;
    }
    if (what->forgets && !ended.code) {
        prepared_.clear();
    }
    if (!ended.plan_lost) {
        if (ended.preparing > 0) {
            prepared_.forget(*what);
        }
        return false;
    }
    if (ended.code == sqlstate::invalid_sql_statement_name) {
        prepared_.forget(*what);
    } else {
        prepared_.doubt(*what);
    }
    // Inside a transaction the error has ended that, and is told.
    if (std::exchange(repeated_, true) || PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
        return false;
    }
    ended.code = {};
    ended.said = {};
    policy_->prepares_repeated.fetch_add(1, std::memory_order_relaxed);
    send(ended, told);
    return true;
}

/// What could not be prepared keeps nobody waiting: those that use it will hear of it.
void session::link::settle_warming(operation& ended) {
    const auto by = policy_->preparing();
    const auto done = warming_.size() - std::min(ended.preparing, warming_.size());
    for (std::size_t i = 0; i < done; ++i) {
        prepared_.add(warming_[i], by);
    }
    policy_->prepares.fetch_add(done, std::memory_order_relaxed);
    if (done < warming_.size() && ended.code.category() == sqlstate_category()) {
        warming_[done]->uses.store(0, std::memory_order_relaxed);  // not the first that the next session tries
        ended.code = {};
        ended.said = {};
    }
    warming_.clear();
}

/// A statement is given up, and whether the server has prepared it is not known.
void session::link::give_up_plan(const operation& what) noexcept {
    if (planned_ != nullptr && what.preparing > 0) {
        prepared_.doubt(*planned_);
    }
    planned_ = nullptr;
    warming_.clear();
}

}  // namespace trunkline::pg
