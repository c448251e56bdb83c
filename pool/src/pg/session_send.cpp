#include "batch.hpp"
#include "session_link.hpp"
#include "statement.hpp"
#include "statement_class.hpp"

#include <algorithm>
#include <cassert>
#include <span>
#include <string>

// What a session sends.

namespace trunkline::pg {

namespace {

// Npgsql's list: what DISCARD ALL does, but prepared statements stay.
constexpr const char* gentle_reset[]{
    "SET SESSION AUTHORIZATION DEFAULT", "RESET ALL",         "CLOSE ALL",   "UNLISTEN *",
    "SELECT pg_advisory_unlock_all()",   "DISCARD SEQUENCES", "DISCARD TEMP"};
constexpr const char* full_reset[]{"DISCARD ALL"};

/// Whether it cannot be a part of libpq's pipeline.
bool stands_alone(const operation& what) noexcept { return what.is_transfer || what.is_copy; }

bool send_text(PGconn* to, const char* sql) noexcept {
    return PQsendQueryParams(to, sql, 0, nullptr, nullptr, nullptr, nullptr, 0) == 1;
}

}  // namespace

/// Takes a new operation of the user's: sends it, or lets it wait, or refuses it.
void session::link::admit(operation& what, news& told) {
    what.is_copy = what.pieces == nullptr && is_copy(what.sql);
    if (const auto refused =
            what.pieces != nullptr ? check_batch(*what.pieces, what.said) : check_statement(what, what.said)) {
        what.code = refused;
        refuse(what, told);
        return;
    }
    if (current_ != nullptr || parked_ != nullptr) {
        fail(what, pool_errc::operation_in_progress, {});
        refuse(what, told);
        return;
    }
    if (state() == session_state::broken || mender_ != nullptr || forked_since(born_)) {
        fail(what, mender_ != nullptr ? error_code{pool_errc::lease_released} : lost_code_, lost_said_);
        refuse(what, told);
        return;
    }
    repeated_ = what.is_settled = false;
    note_begin();
    if (first_use_.load(std::memory_order_relaxed) == unused) {
        first_use_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    }
    if (what.pieces == nullptr) {
        count_statement();
    }
    auto timeout = what.timeout;
    if (timeout.count() == 0 && !what.is_pools) {
        timeout = std::chrono::milliseconds{policy_->query_timeout.load(std::memory_order_relaxed)};
    }
    if (timeout.count() > 0) {
        limit_operation(timeout, !what.is_pools && !what.is_transfer);
    }
    if (state() == session_state::busy) {
        parked_ = &what;
    } else {
        send(what, told);
    }
}

/// It ends before it has begun.
void session::link::refuse(operation& what, news& told) noexcept {
    const auto running = times_;
    note_begin();
    finish(&what, told);
    times_ = running;
}

void session::link::count_statement() noexcept {
    if (++statements_ % lot == 0) {
        policy_->statements.fetch_add(lot, std::memory_order_relaxed);
    }
}

/// There was no memory to send `what`. If a part of it may have gone out, nothing can be sent behind it.
void session::link::refuse_for_memory(operation& what, news& told) noexcept {
    if (current_ == &what || parked_ == &what) {
        lose(told);
        return;
    }
    if (current_ == nullptr && parked_ == nullptr) {
        deadline_ = server_deadline_ = never;
    }
    what.code = make_error_code(boost::system::errc::not_enough_memory);
    refuse(what, told);
}

void session::link::limit_operation(std::chrono::milliseconds timeout, bool tells_server) {
    const auto now = clock::now();
    timeout = std::min(timeout, longest_server_timeout);
    const bool tell = tells_server && policy_->server_timeout.load(std::memory_order_relaxed);
    server_deadline_ = tell ? now + timeout : never;
    deadline_ = now + timeout + (tell ? grace_of(timeout) : std::chrono::milliseconds{0});
    server_time_ = tell ? timeout : std::chrono::milliseconds{0};
    arm();
}

void session::link::send(operation& what, news& told) {
    current_ = &what;
    note_sent();
    state_.store(session_state::busy, std::memory_order_release);
    const bool leaves_state = what.pieces == nullptr && !what.warms && note_footprint(what);
    const auto first =
        server_time_.count() > 0 || armed_.value.count() > 0 || !armed_.certain ? preamble_for(what) : preamble::none;
    const auto chosen = plan(what);
    bool sent = false;
    if (what.pieces != nullptr) {
        sent = (first == preamble::none || send_preamble(first)) && enter_pipeline();
        expected_.push_back(unit::statement);
        syncs_left_ = 0;
    } else if (first == preamble::none && expected_.empty() && chosen.how != way::prepare && !what.warms) [[likely]] {
        sent = what.is_transfer ? send_transfer(static_cast<transfer&>(what)) : send_statement(connection_.get(), what);
        expected_.push_back(unit::statement);
    } else if (stands_alone(what)) {  // once what is in front of it has been answered
        sent = first == preamble::none || send_preamble(first);
        parked_ = std::exchange(current_, nullptr);
        if (sent) {
            flush(told);
        } else {
            lose(told);
        }
        return;
    } else {
        sent = (first == preamble::none || send_preamble(first)) && enter_pipeline() && send_closing(chosen.closed) &&
               send_warming(what) && send_statement(connection_.get(), what) && PQpipelineSync(connection_.get()) == 1;
        expected_.push_back(unit::statement);
    }
    armed_.certain = armed_.certain && !leaves_state;
    if (!sent) {
        lose(told);
    } else if (what.pieces != nullptr) {
        feed(told);
        take_answers(told);  // libpq reads, too, where it cannot write: then nothing tells of what it has read
    } else {
        flush(told);
    }
}

bool session::link::leaves_state(std::string_view sql) noexcept {
    if (judged_size_ > 0 && sql == std::string_view{judged_.data(), judged_size_}) {
        return judged_to_leave_state_;
    }
    judged_to_leave_state_ = may_leave_state(sql);
    judged_size_ = sql.size() <= judged_.size() ? sql.size() : 0;
    std::copy_n(sql.data(), judged_size_, judged_.data());
    return judged_to_leave_state_;
}

/// Notes what the next reset must undo. True if the statement may change the server's time-out.
bool session::link::note_footprint(const operation& what) noexcept {
    const bool smart = policy_->reset.load(std::memory_order_relaxed) == reset_mode::smart;
    const bool armed = armed_.value.count() > 0 || server_time_.count() > 0;
    const auto so_far = footprint_.load(std::memory_order_relaxed);
    const bool asked = armed || (smart && so_far != footprint::possible);
    const bool leaves = asked && leaves_state(what.sql);
    const auto now = leaves || !smart ? footprint::possible : footprint::harmless;
    if (now > so_far) {
        footprint_.store(now, std::memory_order_relaxed);
    }
    return leaves && armed;
}

bool session::link::enter_pipeline() noexcept {
    in_pipeline_ = in_pipeline_ || PQenterPipelineMode(connection_.get()) == 1;
    return in_pipeline_;
}

/// What is sent in front of a statement, so that the server knows its time; of one that stands alone once.
preamble session::link::preamble_for(operation& what) noexcept {
    const auto status = expected_.empty() ? PQtransactionStatus(connection_.get()) : PQTRANS_IDLE;
    const bool alone = stands_alone(what);
    const bool refused = status == PQTRANS_INERROR || (alone && std::exchange(what.is_settled, true));
    return preamble_of(armed_, alone ? std::chrono::milliseconds{0} : server_time_, refused);
}

bool session::link::send_preamble(preamble first) {
    // Each part has a Sync of its own: with one for all they would be one transaction, which VACUUM refuses to run in.
    const bool idle = !expected_.empty() || PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
    const auto value = first == preamble::set_timeout ? server_time_ : std::chrono::milliseconds{0};
    const auto sql = first == preamble::set_timeout ? "SET statement_timeout = " + std::to_string(value.count())
                                                    : std::string{"RESET statement_timeout"};
    armed_ = {value, idle};  // a rollback takes back what was SET inside its transaction
    expected_.push_back(unit::preamble);
    return enter_pipeline() && send_text(connection_.get(), sql.c_str()) && PQpipelineSync(connection_.get()) == 1;
}

bool session::link::send_reset() {
    const auto statements = policy_->reset.load(std::memory_order_relaxed) == reset_mode::discard_all
                                ? std::span<const char* const>{full_reset}
                                : std::span<const char* const>{gentle_reset};
    if (policy_->reset.load(std::memory_order_relaxed) == reset_mode::discard_all) {
        prepared_.clear();  // should it fail, the session is condemned
    }
    footprint_.store(footprint::none, std::memory_order_relaxed);
    forget_notifications();
    armed_ = {};
    policy_->resets.fetch_add(1, std::memory_order_relaxed);
    expected_.push_back(unit::reset);
    bool sent = enter_pipeline();
    for (const char* const sql : statements) {
        sent = sent && send_text(connection_.get(), sql);
    }
    return sent && PQpipelineSync(connection_.get()) == 1;
}

void session::link::send_own(const char* sql, unit as, news& told) {
    assert(expected_.empty() && !in_pipeline_);
    own_.code = {};
    expected_.push_back(as);
    if (send_text(connection_.get(), sql)) {
        flush(told);
    } else {
        lose(told);
    }
}

void session::link::flush(news& told) {
    look_for_refusal(told);  // where libpq cannot send it reads
    if (!connection_) {
        return;
    }
    const int pending = PQflush(connection_.get());
    if (pending == 1 && !writing_) {
        writing_ = true;
        socket_->wait(direction::write, shared_from_this());
    } else if (pending < 0 && PQstatus(connection_.get()) != CONNECTION_OK) {
        lose(told);
    }
}

}  // namespace trunkline::pg
