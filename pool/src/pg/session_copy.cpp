#include "peeked.hpp"
#include "session_link.hpp"
#include "tls_pending.hpp"
#include "transfer.hpp"

// The data of a COPY that goes to the server.

namespace trunkline::pg {

namespace {

constexpr const char* refused = "the server has refused it";

/// Before a piece of COPY's data is sent: a server that never ends speaking keeps nobody.
constexpr int most_reads = 10'000;

}  // namespace

void session::link::put(transfer& into, std::string_view data) noexcept {
    if (forked_since(born_)) {
        return;
    }
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (current_ != &into || into.ended_) {
            return;  // how it ended is told by the next call
        }
        attempt(told, [&] {
            listen(told);
            if (!connection_ || into.ended_) {
                return;
            }
            if (PQputCopyData(connection_.get(), data.data(), static_cast<int>(data.size())) == 1) {
                flush(told);
            } else {
                lose(told);
            }
        });
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

void session::link::put_end(transfer& of, const char* reason) noexcept {
    if (forked_since(born_)) {
        return;
    }
    news told;
    {
        const std::lock_guard lock{mutex_};
        if (current_ != &of || of.ended_) {
            return;
        }
        attempt(told, [&] { end_data(of, reason, told); });
    }
    if (told.any()) {
        tell_later(std::move(told));
    }
}

void session::link::end_data(transfer& of, const char* reason, news& told) {
    of.ended_ = true;
    if (PQputCopyEnd(connection_.get(), reason) == 1) {
        flush(told);
        take_answers(told);  // a refusal may have come with the agreement, and nothing comes behind it
    } else {
        lose(told);
    }
}

/// Takes what the server has said, before more is sent: where libpq cannot send it reads, and of a TLS connection only one
/// record can be looked at.
void session::link::listen(news& told) {
    PGconn* const from = connection_.get();
    for (int reads = 0; reads < most_reads && (socket_->available() > 0 || tls_pending(from)); ++reads) {
        look_for_refusal(told);
        if (!connection_ || current_transfer() == nullptr || current_transfer()->ended_ || PQconsumeInput(from) != 1) {
            break;  // of what is wrong the event of the socket hears
        }
        (void)PQisBusy(from);  // takes the notices out
    }
    take_asides(told);
}

/// A server that has refused a COPY's data says so in the middle of it. libpq would tell that at the end of all data.
void session::link::look_for_refusal(news& told) {
    auto* const of = current_transfer();
    if (of != nullptr && of->is == transfer::sort::copy_in && of->open_ && !of->ended_ &&
        has_error_ahead(connection_.get())) {
        end_data(*of, refused, told);
    }
}

}  // namespace trunkline::pg
