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

/// Whether the server refuses the statement as it stands: class 42, and what is not there (3F) or not supported (0A).
bool blames_statement(const error_code& code) {
    if (code.category() != sqlstate_category()) {
        return false;
    }
    const auto state = to_string(static_cast<sqlstate>(code.value()));
    return state.starts_with("42") || state.starts_with("3F") || state.starts_with("0A");
}

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
    if (by.after_uses == 0 && prepared_.size() > 0) {
        prepared_.doubt_all();  // what runs until it is on again is not looked at
    }
    const bool whole =
        !what.is_pools && !what.is_unnamed && !what.is_transfer && what.pieces == nullptr && !what.sql.empty();
    if (by.after_uses == 0 || !whole || status == PQTRANS_INERROR) {
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
bool session::link::send_closing(std::shared_ptr<known_statement> what) {
    if (what == nullptr) {
        return true;
    }
    policy_->prepares_closed.fetch_add(1, std::memory_order_relaxed);
    expected_.push_back(unit::closing);
    closing_statement_ = std::move(what);
    return send_close(connection_.get(), closing_statement_->name.c_str()) && PQpipelineSync(connection_.get()) == 1;
}

/// A statement that the server has still is closed another time.
void session::link::settle_closing(const error_code& failed) {
    const auto what = std::move(closing_statement_);
    if (what && failed && failed != sqlstate::invalid_sql_statement_name && !prepared_.has(*what)) {
        prepared_.add(what, policy_->preparing());
        prepared_.doubt(*what);
    }
}

/// If `what` is to warm the session: prepares what the pool uses most, in front of it. With one Sync for all, so that a
/// single request ends it should it wait for a lock.
bool session::link::send_warming(operation& what) {
    if (!what.warms) {
        return true;
    }
    warming_ = policy_->statements_to_warm();
    std::erase_if(warming_, [&](const auto& one) { return prepared_.has(*one); });
    what.preparing = warming_.size();
    return std::ranges::all_of(warming_, [&](const auto& one) {
        return PQsendPrepare(connection_.get(), one->name.c_str(), one->sql.c_str(),
                             static_cast<int>(one->types.size()), one->types.data()) == 1;
    });
}

/// What has become of a statement's preparation. True: it is prepared and sent once more.
bool session::link::settle_plan(operation& ended, news& told) {
    if (ended.warms) {
        return settle_warming(ended, told);
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

/// What could not be prepared keeps nobody waiting: those that use it will hear of it. True: the others are sent again.
bool session::link::settle_warming(operation& ended, news& told) {
    const auto by = policy_->preparing();
    const auto done = warming_.size() - std::min(ended.preparing, warming_.size());
    for (std::size_t i = 0; i < done; ++i) {
        prepared_.add(warming_[i], by);
    }
    policy_->prepares.fetch_add(done, std::memory_order_relaxed);
    const bool failed = done < warming_.size() && blames_statement(ended.code);
    if (failed) {
        warming_[done]->unfit_to_warm.store(true, std::memory_order_relaxed);
    } else if (ended.code.category() == sqlstate_category() && state() != session_state::broken) {
        ended.code = {};  // a lock, or no memory: without them, then
    }
    warming_.clear();
    if (!failed || PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
        return false;
    }
    ended.code = {};
    ended.said = {};
    send(ended, told);
    return true;
}

/// A statement is given up, and whether the server has prepared it, or has dropped what it had, is not known.
void session::link::give_up_plan(const operation& what) {
    if (what.warms) {
        for (const auto& one : warming_) {
            prepared_.add(one, policy_->preparing());
            prepared_.doubt(*one);
        }
        warming_.clear();
    } else if (planned_ != nullptr && planned_->forgets) {
        prepared_.doubt_all();
    } else if (planned_ != nullptr && what.preparing > 0) {
        prepared_.doubt(*planned_);
    }
    planned_ = nullptr;
}

}  // namespace trunkline::pg
