#include "diagnosis.hpp"
#include "resumption/resume_scope.hpp"
#include "session_link.hpp"
#include "statement.hpp"
#include "tls_pending.hpp"

// What the socket says: everything that a session hears from its server.

namespace trunkline::pg {

void session::link::on_notice(void* self, const PGresult* said) noexcept {
    auto& mine = *static_cast<link*>(self);  // called by libpq inside `receive`, so under the lock
    try {
        auto notice = diagnosis_of(said);
        const bool stray = notice.sqlstate.empty();  // libpq's own complaint of a message that has no place here
        if (ends_session(notice) || (stray && mine.current_ == nullptr)) {
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
        if (which == direction::write) {
            on_writable(told);
        } else if (socket_->is_open()) {
            on_readable(told);
            if (socket_->is_open()) {
                socket_->wait(direction::read, self);  // before the news: who is told may start the next operation
            }
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
    if (!writing_ && socket_->is_open() && !socket_->forget_writing()) {
        lose(told);
    }
}

void session::link::receive(news& told) {
    PGconn* const from = connection_.get();
    bool alive = PQconsumeInput(from) == 1;
    while (alive && tls_pending(from)) {
        alive = PQconsumeInput(from) == 1;
    }
    if (current_ != nullptr) {
        switch (collect(from, *current_)) {
        case progress::waiting: break;
        case progress::ended:
            told.done = std::exchange(current_, nullptr);
            settle_state();
            break;
        case progress::unsupported:
            told.done = std::exchange(current_, nullptr);
            state_.store(session_state::broken, std::memory_order_release);
            break;
        }
    }
    if (current_ == nullptr && alive) {
        (void)PQisBusy(from);  // what came while idle (a FATAL, say) is parsed here and told to `on_notice`
    }
    while (PGnotify* const unwanted = PQnotifies(from)) {
        PQfreemem(unwanted);
    }
    if (!notices_.empty()) {
        told.notices.swap(notices_);
    }
    if (!alive || last_words_ || PQstatus(from) != CONNECTION_OK) {
        lose(told);
    }
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

void session::link::flush(news& told) {
    const int pending = PQflush(connection_.get());
    if (pending == 1 && !writing_) {
        writing_ = true;
        socket_->wait(direction::write, shared_from_this());
    } else if (pending < 0 && PQstatus(connection_.get()) != CONNECTION_OK) {
        lose(told);
    }
}

void session::link::lose(news& told) {
    if (current_ != nullptr) {
        told.done = std::exchange(current_, nullptr);
    }
    operation* const failed = told.done;
    if (last_words_) {
        lost_said_ = std::move(*last_words_);
        last_words_.reset();
    } else if (failed != nullptr && ends_session(failed->said)) {
        lost_said_ = failed->said;
    } else {
        lost_said_ = diagnosis_of(connection_.get());
        if (lost_said_.message.empty()) {
            lost_said_.message = "the server closed the connection";
        }
    }
    lost_code_ = code_of(lost_said_);
    if (failed != nullptr && state() == session_state::busy && !failed->code) {
        fail(*failed, lost_code_, lost_said_);
    }
    told.lost = !closing_;
    state_.store(session_state::broken, std::memory_order_release);
    connection_.reset();
    socket_->close();
}

void session::link::end(news& told) {
    close_timer_.reset();
    connection_.reset();
    socket_->close();
    told.closed = std::exchange(closed_, nullptr);
}

}  // namespace trunkline::pg
