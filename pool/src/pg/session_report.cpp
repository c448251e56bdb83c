#include "batch.hpp"
#include "session_link.hpp"

#include <algorithm>
#include <exception>

// What the program is told: of its statements, and in its log.

namespace trunkline::pg {

namespace {

statement_kind kind_of(const transfer& what) noexcept {
    switch (what.is) {
    case transfer::sort::rows: return statement_kind::stream;
    case transfer::sort::copy_in: return statement_kind::copy_in;
    case transfer::sort::copy_out: return statement_kind::copy_out;
    }
    return statement_kind::query;
}

log_level level_of(const diagnostics& notice) noexcept {
    if (notice.severity == "NOTICE" || notice.severity == "INFO" || notice.severity == "LOG") {
        return log_level::info;
    }
    return notice.severity == "DEBUG" ? log_level::debug : log_level::warning;
}

}  // namespace

/// The user's operation has its outcome. A transfer may be gone before that is told: it reports by itself.
void session::link::finish(operation* ended, news& told) noexcept {
    if (ended == nullptr) {
        return;
    }
    if (ended->is_transfer) {
        static_cast<transfer*>(ended)->times_ = times_;
    } else if (policy_->on_statement && !ended->is_pools && !ended->warms) {
        told.finished = ended;
        told.times = times_;
    }
    told.add(ended);
}

void session::link::note_begin() noexcept {
    if (policy_->on_statement) {
        times_.begun = times_.sent = clock::now();
    }
}

void session::link::note_sent() noexcept {
    if (policy_->on_statement && !repeated_) {
        times_.sent = clock::now();
    }
}

void session::link::report(const operation& ended, const statement_times& times) const noexcept {
    if (ended.pieces == nullptr) {
        report_one({.kind = statement_kind::query,
                    .statement = ended.sql,
                    .trace_parent = {},
                    .rows = ended.rows.rows_affected(),
                    .code = ended.code,
                    .said = ended.said},
                   times);
        return;
    }
    const auto& all = *ended.pieces;
    for (std::size_t i = 0; i < all.pieces.size(); ++i) {
        const auto& one = all.pieces[i];
        const bool has_its_own = one.code || i < all.settled;
        report_one({.kind = statement_kind::pipelined,
                    .statement = one.sql,
                    .trace_parent = {},
                    .rows = one.rows.rows_affected(),
                    .code = has_its_own ? one.code : ended.code,
                    .said = has_its_own ? one.said : ended.said},
                   times);
    }
}

/// Once, by whoever sees first that it is over.
void session::link::report(transfer& ended) const noexcept {
    if (!policy_->on_statement || abandoned_ || std::exchange(ended.reported_, true)) {
        return;
    }
    report_one({.kind = kind_of(ended),
                .statement = ended.sql,
                .trace_parent = {},
                .rows = ended.is == transfer::sort::rows ? ended.rows_given_ : ended.rows.rows_affected(),
                .code = ended.code,
                .said = ended.said},
               ended.times_);
}

void session::link::report_one(statement_report what, const statement_times& times) const noexcept {
    constexpr std::string_view comment = "\n/*traceparent='";
    constexpr std::size_t length = 55;  // of what text_of takes
    constexpr std::string_view end = "'*/";
    const auto whole = comment.size() + length + end.size();
    const auto at = what.statement.size() - std::min(what.statement.size(), whole);
    if (what.statement.substr(at).starts_with(comment) && what.statement.ends_with(end)) {
        what.trace_parent = what.statement.substr(at + comment.size(), length);
        what.statement = what.statement.substr(0, at);
    }
    const auto now = clock::now();
    what.backend_pid = backend_pid_;
    what.took = now - times.begun;
    what.waited = times.sent - times.begun;
    try {
        policy_->on_statement(what);
    } catch (const std::exception& failed) {
        log_failed_hook(failed.what());
    } catch (...) {
        log_failed_hook("no std::exception");
    }
}

void session::link::log_failed_hook(const char* why) const noexcept {
    if (!to_.log) {
        return;
    }
    try {
        to_.log({log_level::error, to_.pool, std::string{"the program's on_statement hook threw: "} + why});
    } catch (...) {
        // A log that fails must not end a session.
    }
}

void session::link::log_pooler() const noexcept {
    if (!to_.log) {
        return;
    }
    try {
        to_.log({log_level::info, to_.pool, "a pooler stands in front of the server: statements are not prepared"});
    } catch (...) {
        // A log that fails must not end a session.
    }
}

void session::link::log_notice(const diagnostics& notice) const noexcept {
    if (!to_.log) {
        return;
    }
    try {
        std::string message = "the server says: " + notice.severity + ": " + notice.message;
        if (!notice.detail.empty()) {
            message += " (" + notice.detail + ")";
        }
        to_.log({level_of(notice), to_.pool, message});
    } catch (...) {
        // A log that fails must not end a session.
    }
}

}  // namespace trunkline::pg
