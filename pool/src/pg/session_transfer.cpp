#include "diagnosis.hpp"
#include "session_link.hpp"
#include "statement.hpp"
#include "transfer.hpp"

#include <utility>

// Statements whose rows, or whose COPY data, pass piece by piece.

namespace trunkline::pg {

namespace {

constexpr const char* abandoned = "the program has given the COPY up";

const char* wanted_by(transfer::sort sort) noexcept {
    switch (sort) {
    case transfer::sort::rows:
        return "a stream of rows takes a statement that gives rows; COPY has copy_in and copy_out";
    case transfer::sort::copy_in: return "copy_in takes COPY … FROM STDIN, and nothing else";
    case transfer::sort::copy_out: return "copy_out takes COPY … TO STDOUT, and nothing else";
    }
    return "";
}

transfer::sort sort_of(ExecStatusType status) noexcept {
    return status == PGRES_COPY_IN ? transfer::sort::copy_in : transfer::sort::copy_out;
}

void refuse_sort(transfer& what) {
    diagnostics said;
    said.message = wanted_by(what.is);
    fail(what, pool_errc::unsupported_statement, std::move(said));
}

}  // namespace

void transfer::free_data::operator()(char* data) const noexcept { PQfreemem(data); }

arrival transfer::next() noexcept { return on_ == nullptr ? arrival::over : on_->next(*this); }

bool transfer::has_failed() noexcept { return code && (on_ == nullptr || on_->outlook_of(*this) == arrival::over); }

void transfer::await() noexcept { on_->await(*this); }

void transfer::cancel() noexcept {
    if (on_ != nullptr) {
        on_->cancel(*this);
    }
}

void transfer::let_go() noexcept {
    if (on_ != nullptr) {
        on_->let_go(*this);
    }
}

void transfer::put(std::string_view data) noexcept {
    if (on_ != nullptr) {
        on_->put(*this, data);
    }
}

void transfer::put_end(const char* reason) noexcept {
    if (on_ != nullptr) {
        on_->put_end(*this, reason);
    }
}

// In the child of a fork the session is the parent's, and its lock may never be free: nothing is touched.

arrival session::link::next(transfer& of) noexcept {
    if (forked_since(born_)) {
        of.code = lost_code_;
        return arrival::over;
    }
    news told;
    auto gives = arrival::later;
    {
        const std::lock_guard lock{mutex_};
        if (!of.has_piece_ && current_ == &of && of.open_ && of.is != transfer::sort::copy_in) {
            attempt(told, [&] {
                take_answers(told);
                take_asides(told);
            });
        }
        gives = outlook(of);
        if (gives == arrival::piece && of.is != transfer::sort::copy_in) {
            of.row_ = std::move(of.next_row_);
            of.data_ = std::move(of.next_data_);
            of.length_ = of.next_length_;
            of.has_piece_ = false;
            of.rows_given_ += of.row_.size();
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
    if (gives == arrival::over) {
        report(of);
    }
    return gives;
}

arrival session::link::outlook_of(const transfer& what) const noexcept {
    if (forked_since(born_)) {
        return arrival::over;
    }
    const std::lock_guard lock{mutex_};
    return outlook(what);
}

/// What there is to tell of it.
arrival session::link::outlook(const transfer& of) const noexcept {
    if (of.has_piece_) {
        return arrival::piece;
    }
    if (of.over_) {
        return arrival::over;
    }
    const bool room = of.is == transfer::sort::copy_in && of.open_ && !of.ended_ && !writing_;
    return room ? arrival::piece : arrival::later;
}

void session::link::await(transfer& of) noexcept {
    news told;
    {
        const std::lock_guard lock{mutex_};
        of.awaited_ = true;
        if (outlook(of) != arrival::later) {
            told.add(&of);
        } else {
            attempt(told, [&] {
                limit_waiting(of);
                read_on(shared_from_this());
            });
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

/// The server is not told: its own time would pass while the program is busy with what it has got.
void session::link::limit_waiting(const transfer& of) {
    auto timeout = of.timeout;
    if (timeout.count() == 0) {
        timeout = std::chrono::milliseconds{policy_->query_timeout.load(std::memory_order_relaxed)};
    }
    if (timeout.count() > 0) {
        deadline_ = clock::now() + std::min(timeout, longest_server_timeout);
        arm();
    }
}

void session::link::let_go(transfer& what) noexcept {
    if (forked_since(born_)) {
        return;
    }
    news told;
    {
        const std::lock_guard lock{mutex_};
        what.awaited_ = false;
        if (current_ == &what || parked_ == &what) {
            attempt(told, [&] { give_up(boost::asio::error::operation_aborted, told); });
        }
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
    report(what);
}

bool session::link::send_transfer(transfer& what) {
    return send_statement(connection_.get(), what) &&
           (what.is != transfer::sort::rows || PQsetSingleRowMode(connection_.get()) == 1);
}

/// Whoever waits for it looks again.
void session::link::wake(transfer& of, news& told) noexcept {
    if (of.awaited_) {
        deadline_ = never;
        told.add(&of);
    }
}

transfer* session::link::current_transfer() const noexcept {
    return current_ != nullptr && current_->is_transfer ? static_cast<transfer*>(current_) : nullptr;
}

/// Whether the server is to wait, because nobody has asked for what it sends.
bool session::link::is_paused() const noexcept {
    const auto* const of = current_transfer();
    return of != nullptr && of->open_ && !of->awaited_ && of->is != transfer::sort::copy_in && !hung_up_;
}

/// Takes what has arrived, up to the next piece. False: there is one, or more must arrive, or the session is lost.
bool session::link::take_piece(transfer& of, news& told) {
    if (of.has_piece_ || !take_data(of, told)) {
        return false;
    }
    if (PQisBusy(connection_.get()) != 0 || (of.is == transfer::sort::copy_in && of.open_ && !of.ended_)) {
        return false;
    }
    if (PGresult* const got = PQgetResult(connection_.get())) {
        return take_result(of, result{got, of.sql}, got, told);
    }
    end_transfer(of, told);
    return false;
}

bool session::link::take_result(transfer& of, result taken, const PGresult* got, news& told) {
    const auto status = PQresultStatus(got);
    switch (status) {
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
        if (copying_ || of.is != sort_of(status) || of.open_) {
            if (!copying_) {
                refuse_sort(of);
            }
            return end_copy(status == PGRES_COPY_IN, of, told);
        }
        of.binary_ = PQbinaryTuples(got) != 0;
        of.columns_ = taken.columns();
        of.open_ = true;
        wake(of, told);
        return true;
    case PGRES_SINGLE_TUPLE:
        of.has_piece_ = of.open_ = true;
        of.next_row_ = std::move(taken);
        wake(of, told);
        return true;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY: settle_transfer(of, std::move(taken)); return true;
    case PGRES_FATAL_ERROR:
        if (!of.code) {
            auto said = diagnosis_of(got);
            note_line_of_copy(said, got);
            const auto code = code_of(said);
            fail(of, code, std::move(said));
        }
        return true;
    default: condemn(told, "the server's answers are out of step with what it was asked"); return false;
    }
}

void session::link::settle_transfer(transfer& of, result got) {
    // A COPY's text may hold other statements too: it is sent as it is.
    const bool is_copy = of.is != transfer::sort::rows;
    if (!of.code && is_copy && (!of.open_ || of.rows.is_answer())) {
        refuse_sort(of);
    } else if (!of.code) {
        of.rows = std::move(got);
    }
}

/// Takes COPY's data. True: how it ends is what comes next, or it is none.
bool session::link::take_data(transfer& of, news& told) {
    if (of.is != transfer::sort::copy_out || !of.open_ || of.ended_ || copying_) {
        return true;
    }
    char* data = nullptr;
    const int length = PQgetCopyData(connection_.get(), &data, 1);
    if (length > 0) {
        of.next_data_.reset(data);
        of.next_length_ = static_cast<std::size_t>(length);
        of.has_piece_ = true;
        wake(of, told);
        return false;
    }
    of.ended_ = length < 0;
    return of.ended_;
}

void session::link::end_transfer(transfer& of, news& told) {
    if (!of.code && !of.rows.is_answer()) {
        // An end without an answer belongs to nothing that was asked: a ReadyForQuery out of turn.
        condemn(told, "the server's answers are out of step with what it was asked");
        return;
    }
    expected_.erase(expected_.begin());
    on_answered(unit::statement, told);
}

/// What is left of a transfer that nobody wants: the end of what the program sends, or what has arrived already, which
/// may be the rest. True: the server is to be asked to stop.
bool session::link::quit_transfer(const transfer& of, news& told) {
    unrest_.reads_freely = true;
    if (of.is == transfer::sort::copy_in && of.open_ && !of.ended_) {
        if (!refuse_copy(connection_.get(), abandoned)) {
            lose(told);
            return false;
        }
        flush(told);
        policy_->drains.fetch_add(1, std::memory_order_relaxed);
        if (connection_) {  // a server that does not hear of it, because it waits for a lock, is asked to stop
            constexpr std::chrono::milliseconds patience{50};  // most servers need less than one
            copying_ = true;
            ask_again_at_ = clock::now() + patience;
            arm();
            take_answers(told);
        }
        return false;
    }
    copying_ = of.is == transfer::sort::copy_out && of.open_;
    policy_->drains.fetch_add(copying_ ? 1 : 0, std::memory_order_relaxed);
    receive(told);
    return connection_ && unrest_.statement_open;
}

/// It was to be woken and will never be: its coroutine is being destroyed, and the context, too, mostly. Nothing is begun.
void session::link::forsake(transfer& what) noexcept {
    const std::lock_guard lock{mutex_};
    if (current_ == &what || parked_ == &what) {
        current_ = parked_ = nullptr;
        deadline_ = never;
        what.over_ = true;
        what.times_ = times_;
        what.code = lost_code_;
        state_.store(session_state::broken, std::memory_order_release);
    }
}

/// The socket is watched for what arrives.
void session::link::read_on(std::shared_ptr<socket_owner> self) {
    if (!reading_ && socket_->is_open()) {
        socket_->wait(direction::read, std::move(self));
        reading_ = true;
    }
}

/// Or only for its end.
void session::link::hold(std::shared_ptr<socket_owner> self) {
    if (!watching_ && socket_->is_open()) {
        socket_->wait(direction::error, std::move(self));
        watching_ = true;
    }
}

}  // namespace trunkline::pg
