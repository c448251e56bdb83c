#include "batch.hpp"
#include "diagnosis.hpp"
#include "resumption/resume_scope.hpp"
#include "session_link.hpp"
#include "statement.hpp"
#include "tls_pending.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

// What the socket says: everything that a session hears from its server.

namespace trunkline::pg {

void session::link::on_notice(void* self, const PGresult* said) noexcept {
    auto& mine = *static_cast<link*>(self);  // called by libpq inside `receive`, so under the lock
    try {
        auto notice = diagnosis_of(said);
        const bool stray = notice.sqlstate.empty();  // libpq's own complaint of a message that has no place here
        if (ends_session(notice) || (stray && mine.expected_.empty())) {
            mine.last_words_ = std::move(notice);
        } else {
            mine.notices_.push_back(std::move(notice));
        }
    } catch (...) {
        // No memory: the notice is lost, and a close that follows is seen all the same.
    }
}

void session::link::on_ready(direction which, std::shared_ptr<socket_owner> self) {
    news told;
    {
        const std::lock_guard lock{mutex_};
        switch (which) {
        case direction::write: attempt(told, [&] { on_writable(told); }); break;
        case direction::read:
            reading_ = false;
            if (socket_->is_open() && !is_paused()) {
                attempt(told, [&] { on_readable(told); });
            }
            break;
        case direction::error:
            watching_ = false;
            hung_up_ = socket_->is_open() && socket_->is_hung_up();
            break;
        }
        if (socket_->is_open() && !reading_) {  // before the news: who is told may start the next operation
            is_paused() ? hold(self) : read_on(self);
        }
    }
    detail::resume_scope woken{threads_ != nullptr && threads_->is_single() ? context_ : nullptr};
    tell(told);
    woken.run();
}

void session::link::on_readable(news& told) {
    if (state() != session_state::broken) {
        receive(told);
    } else if (!socket_->drain()) {
        end(told);
    }
}

void session::link::on_writable(news& told) {
    writing_ = false;
    if (!socket_->is_open() || state() == session_state::broken) {
        return;
    }
    flush(told);
    if (feed(told)) {
        take_answers(told);
    }
    if (!writing_ && socket_->is_open() && !socket_->forget_writing()) {
        lose(told);
    } else if (auto* const of = current_transfer(); of != nullptr && outlook(*of) == arrival::piece) {
        wake(*of, told);  // there is room
    }
}

void session::link::receive(news& told) {
    PGconn* const from = connection_.get();
    look_for_refusal(told);
    if (!connection_) {
        return;
    }
    const bool draining = copying_ || unrest_.statement_open;
    const auto before = draining ? socket_->available() : 0;
    bool alive = PQconsumeInput(from) == 1;
    while (alive && tls_pending(from)) {
        alive = PQconsumeInput(from) == 1;
    }
    if (draining) {
        drained_ += before - std::min(before, socket_->available());
    }
    take_answers(told);
    if (!connection_) {
        take_asides(told);
        return;
    }
    if (expected_.empty() && alive) {
        (void)PQisBusy(from);  // what came while idle (a FATAL, say) is parsed here and told to `on_notice`
        if (!told.any()) {
            note_read_only();  // a parameter, maybe
        }
    }
    take_asides(told);
    if (!alive || PQstatus(from) != CONNECTION_OK || (last_words_ && ends_session(*last_words_))) {
        lose(told);
    } else if (last_words_) {
        condemn(told, "the server said what nobody had asked for");
    } else if ((copying_ || unrest_.statement_open) && drained_too_much()) {
        give_up_drain(told);
    }
}

/// Takes what has come beside the answers.
void session::link::take_asides(news& told) {
    if (connection_) {
        take_notifications(told);
    }
    std::ranges::move(notices_, std::back_inserter(told.notices));
    notices_.clear();
}

/// Takes what has arrived of the answers that are expected.
void session::link::take_answers(news& told) {
    while (connection_ && !expected_.empty()) {
        const unit what = expected_.front();
        const bool is_users = what == unit::statement && current_ != nullptr;
        if (is_users && current_->is_transfer) {
            if (!take_piece(static_cast<transfer&>(*current_), told)) {
                return;
            }
            continue;
        }
        operation& into = is_users ? *current_ : own_;
        const bool is_batch = is_users && into.pieces != nullptr;
        const auto got = is_batch ? collect_batch(connection_.get(), into, syncs_left_)
                                  : collect(connection_.get(), into, in_pipeline_);
        switch (got) {
        case progress::waiting:
            // Behind an error in an atomic pipeline libpq answers by itself, and nothing arrives.
            if (!is_batch || !feed(told) || !connection_ || PQisBusy(connection_.get()) != 0) {
                return;
            }
            break;
        case progress::ended:
            if (what == unit::statement && current_ == nullptr && syncs_left_ > 0 && --syncs_left_ > 0) {
                // Of a pipeline that was given up: the next of its statements runs, and is to be stopped too.
                ask_again_at_ = unrest_.request_open ? ask_again_at_ : clock::now();
                arm();
                break;
            }
            if (is_users && !is_batch && !into.code && !into.rows.is_answer()) {
                // An end without an answer belongs to nothing that was asked: a ReadyForQuery out of turn.
                condemn(told, "the server's answers are out of step with what it was asked");
                return;
            }
            if (what != unit::statement && !into.code && !into.rows.is_answer()) {
                condemn(told, "the server's answers are out of step with what it was asked");
                return;
            }
            expected_.erase(expected_.begin());
            if (expected_.empty() && std::exchange(in_pipeline_, false) && PQexitPipelineMode(connection_.get()) == 0) {
                condemn(told, "libpq did not leave its pipeline mode");
                return;
            }
            on_answered(what, told);
            break;
        case progress::copy_in:
        case progress::copy_out:
            if (!end_copy(got == progress::copy_in, into, told)) {
                return;
            }
            break;
        case progress::out_of_step:
            if (PQstatus(connection_.get()) != CONNECTION_OK) {
                lose(told);
            } else {
                condemn(told, "the server's answers are out of step with what it was asked");
            }
            return;
        }
    }
}

/// A COPY has no place here: ends it, so that the connection can go on. False: wait.
bool session::link::end_copy(bool in, operation& into, news& told) {
    if (!std::exchange(copying_, true)) {
        if (!into.code) {
            diagnostics said;
            said.message = "COPY has copy_in() and copy_out()";
            fail(into, pool_errc::unsupported_statement, std::move(said));
        }
        policy_->drains.fetch_add(1, std::memory_order_relaxed);
        drained_ = 0;
        if (mending_deadline_ == never) {
            limit_mending(policy_->drain_time.load(std::memory_order_relaxed));
        }
    }
    if (in) {
        if (!refuse_copy(connection_.get(), "nobody has data for it")) {
            lose(told);
            return false;
        }
        flush(told);
        return connection_ != nullptr;
    }
    return drop_copied_rows(connection_.get());
}

void session::link::on_answered(unit what, news& told) {
    const auto failed = std::exchange(own_.code, {});
    switch (what) {
    case unit::statement:
        copying_ = false;
        if (current_ != nullptr) {
            on_statement_end(told);
            return;
        }
        unrest_.statement_open = unrest_.wants_request = false;
        ask_again_at_ = never;
        break;
    case unit::reset:
        if (failed) {
            policy_->resets_failed.fetch_add(1, std::memory_order_relaxed);
            condemn(told, "the reset of a returned connection failed: " + own_.said.message);
            return;
        }
        forget_notifications();  // of what the last lease listened to
        break;
    case unit::preamble: armed_.certain = armed_.certain && !failed; break;
    case unit::closing: settle_closing(failed); break;
    case unit::absorb: unrest_.absorbed = true; break;
    case unit::rollback: unrest_.rolled_back = true; break;
    }
    own_.rows = {};
    if (current_ == nullptr && state() == session_state::busy) {
        go_on(told);
    }
}

void session::link::on_statement_end(news& told) {
    auto& ended = *current_;
    if (ended.code == sqlstate::query_canceled && server_deadline_ != never && clock::now() >= server_deadline_) {
        ended.code = pool_errc::query_timeout;  // the server noticed first; its own words stay
        policy_->timeouts.fetch_add(1, std::memory_order_relaxed);
    }
    if (ended.code == sqlstate::read_only_transaction) {
        note_read_only();
    }
    if (ended.pieces != nullptr) {
        settle_batch(*ended.pieces);
    }
    if (settle_plan(ended, told)) {
        return;
    }
    mending_deadline_ = ask_again_at_ = never;
    finish(take_operation(), told);
    settle_state();
}

void session::link::settle_state() noexcept {
    auto next = session_state::broken;
    switch (PQtransactionStatus(connection_.get())) {
    case PQTRANS_IDLE: next = session_state::clean; break;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR: next = session_state::in_transaction; break;
    case PQTRANS_ACTIVE:
    case PQTRANS_UNKNOWN: break;
    }
    state_.store(next, std::memory_order_release);
}

/// The session goes no further under the statement that runs: who returns its lease sees it.
void session::link::break_off(news& told, const char* why) {
    finish(take_operation(), told);
    state_.store(session_state::broken, std::memory_order_release);
    expected_.clear();
    unrest_ = {.request_open = unrest_.request_open};
    mending_deadline_ = ask_again_at_ = never;
    end_hearing(lost_code_, told);
    say(lost_said_, why);
}

/// This side gives the session up: it stops what runs and says goodbye. The backend may still be at work, so the socket
/// stays open until the server has ended it, or the pool no longer waits for that.
void session::link::condemn(news& told, std::string_view why) noexcept {
    if (!last_words_) {
        say(last_words_.emplace(), why);
    }
    end_operations(told);
    stop_last_statement();
    timer_.reset();
    connection_.reset();
    socket_->finish_writing();
}

/// Before the goodbye: a backend takes no notice of that, nor of the end of its socket, while it is at work.
void session::link::stop_last_statement() noexcept {
    if (PQtransactionStatus(connection_.get()) != PQTRANS_ACTIVE || forked_since(born_)) {
        return;
    }
    last_target_ = cancel_target_of(connection_.get());
    if (!unrest_.request_open) {  // else its end is told, and then it is seen what is to be done
        request_last_stop();
    }
}

void session::link::request_last_stop() noexcept {
    unrest_.request_open = request_stop(last_target_);
    if (!unrest_.request_open) {
        policy_->cancels_refused.fetch_add(1, std::memory_order_relaxed);
    }
}

/// The server has been asked, and may have been too early: it forgets a signal that comes before the statement runs. As
/// long as its end of the session is waited for it is asked again.
void session::link::stop_again_later() {
    using namespace std::chrono_literals;
    last_pause_ =
        std::max<std::chrono::milliseconds>(2 * last_pause_, 50ms);  // 50 100 200 400: most end before the first
    timer_ = std::make_unique<boost::asio::steady_timer>(executor_, last_pause_);
    timer_->async_wait([self = shared_from_this()](const error_code& stopped) {
        const std::lock_guard lock{self->mutex_};
        const auto statements = self->policy_->statements.load(std::memory_order_relaxed);
        const bool may = may_ask_to_stop(self->policy_->cancels.load(std::memory_order_relaxed), statements);
        if (!stopped && may && self->last_target_) {
            self->request_last_stop();
        }
    });
}

/// What ended the session, as far as it is known.
void session::link::note_last_words(const operation* last) {
    if (last_words_) {
        lost_said_ = std::move(*last_words_);
        last_words_.reset();
    } else if (last != nullptr && ends_session(last->said)) {
        lost_said_ = last->said;
    } else {
        lost_said_ = diagnosis_of(connection_.get());
        if (lost_said_.message.empty()) {
            lost_said_.message = "the server closed the connection";
        }
    }
    lost_code_ = code_of(lost_said_);
}

/// Whoever uses the session, or has it, hears what ended it.
void session::link::end_operations(news& told) noexcept {
    operation* const running = take_operation();
    const operation* const last = running != nullptr ? running : told.done[0];
    operation* const mender = std::exchange(mender_, nullptr);
    try {
        note_last_words(last);
        if (running != nullptr && !running->code) {
            fail(*running, lost_code_, lost_said_);
        }
        if (mender != nullptr) {
            fail(*mender, lost_code_, lost_said_);
        }
    } catch (const std::bad_alloc&) {  // then without words
        for (operation* const ended : {running, mender}) {
            if (ended != nullptr && !ended->code) {
                ended->code = lost_code_;
            }
        }
    }
    finish(running, told);
    told.add(mender);
    end_hearing(lost_code_, told);
    told.lost = !closing_;
    state_.store(session_state::broken, std::memory_order_release);
    expected_.clear();
    unrest_ = {.request_open = unrest_.request_open};
    mending_deadline_ = ask_again_at_ = never;
}

/// Nothing can be said to the server any more.
void session::link::lose(news& told) noexcept {
    end_operations(told);
    timer_.reset();
    connection_.reset();
    socket_->close();
}

void session::link::end(news& told) {
    close_timer_.reset();
    timer_.reset();
    last_target_.reset();
    connection_.reset();
    socket_->close();
    told.closed = std::exchange(closed_, nullptr);
}

}  // namespace trunkline::pg
