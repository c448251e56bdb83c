#include "prepared_statements.hpp"

#include <utility>

namespace trunkline::pg {

namespace {

/// A tenth more or less, from the statement's own hash, so that plans do not all expire at once.
std::chrono::milliseconds jittered(std::chrono::milliseconds ttl, std::size_t hash) noexcept {
    const auto part = static_cast<std::chrono::milliseconds::rep>(hash % 21) - 10;
    return ttl + ttl / 100 * part;
}

}  // namespace

prepared_statements::choice prepared_statements::choose(std::string_view sql, std::span<const parameters::entry> values,
                                                        bool at_rest, const prepare_limits& by,
                                                        known_statements& pool) {
    const auto hash = hash_of(sql, values);
    auto found = by_hash_.find(hash);
    if (found == by_hash_.end()) {
        auto known = pool.meet(hash, sql, values);
        if (!known) {
            return {};
        }
        while (seen_.size() >= most_seen) {
            by_hash_.erase(seen_.back().what->hash);
            seen_.pop_back();
        }
        seen_.push_front({.what = std::move(known)});
        try {
            found = by_hash_.emplace(hash, seen_.begin()).first;
        } catch (...) {
            seen_.pop_front();
            throw;
        }
    } else if (!found->second->what->is(sql, values)) {
        return {};  // another one of the same hash
    }
    const auto at = found->second;
    if (at->is_prepared) {
        prepared_.splice(prepared_.begin(), prepared_, at);
        note_use(*at, pool);
        if (!at->is_stale) {
            return {.how = way::prepared, .what = at->what.get()};
        }
        if (!at_rest) {
            return {.what = at->what.get()};
        }
        at->is_stale = false;
        take_in(at, by);
        return {.how = way::prepare, .what = at->what.get(), .closed = at->what};
    }
    seen_.splice(seen_.begin(), seen_, at);
    const auto uses = at->what->uses.fetch_add(1, std::memory_order_relaxed) + 1;
    if (!at->what->preparable || by.after_uses == 0 || uses < by.after_uses) {
        return {.what = at->what.get()};
    }
    return prepare(at, at_rest, by);
}

prepared_statements::choice prepared_statements::prepare(order::iterator at, bool at_rest, const prepare_limits& by) {
    choice chosen{.what = at->what.get()};
    if (prepared_.size() >= by.max_statements) {
        if (!at_rest || prepared_.empty()) {
            return chosen;
        }
        const auto last = std::prev(prepared_.end());
        chosen.closed = last->what;
        by_hash_.erase(last->what->hash);
        prepared_.erase(last);
    }
    chosen.how = way::prepare;
    take_in(at, by);
    return chosen;
}

void prepared_statements::add(std::shared_ptr<known_statement> what, const prepare_limits& by) {
    if (const auto found = by_hash_.find(what->hash); found != by_hash_.end()) {
        if (found->second->what->sql == what->sql) {
            take_in(found->second, by);
        }
        return;
    }
    seen_.push_front({.what = std::move(what)});
    try {
        by_hash_.emplace(seen_.front().what->hash, seen_.begin());
    } catch (...) {
        seen_.pop_front();
        throw;
    }
    take_in(seen_.begin(), by);
}

/// Uses are told in lots, and the clock is read with each: an old plan lives a little longer.
void prepared_statements::note_use(entry& one, known_statements& pool) noexcept {
    if (++one.uses < lot) {
        return;
    }
    pool.note_uses(one.what, std::exchange(one.uses, 0));
    one.is_stale =
        one.is_stale || (one.expires != time_point::max() && std::chrono::steady_clock::now() >= one.expires);
}

void prepared_statements::take_in(order::iterator at, const prepare_limits& by) {
    at->expires =
        by.ttl.count() > 0 ? std::chrono::steady_clock::now() + jittered(by.ttl, at->what->hash) : time_point::max();
    if (!std::exchange(at->is_prepared, true)) {
        prepared_.splice(prepared_.begin(), seen_, at);
    }
}

bool prepared_statements::has(const known_statement& what) const noexcept {
    const auto found = by_hash_.find(what.hash);
    return found != by_hash_.end() && found->second->is_prepared && found->second->what->sql == what.sql;
}

void prepared_statements::forget(const known_statement& what) noexcept {
    const auto found = by_hash_.find(what.hash);
    if (found == by_hash_.end() || found->second->what.get() != &what || !found->second->is_prepared) {
        return;
    }
    const auto at = found->second;
    at->is_prepared = at->is_stale = false;
    seen_.splice(seen_.begin(), prepared_, at);
}

void prepared_statements::doubt(const known_statement& what) noexcept {
    const auto found = by_hash_.find(what.hash);
    if (found != by_hash_.end() && found->second->what.get() == &what) {
        found->second->is_stale = found->second->is_prepared;
    }
}

void prepared_statements::doubt_all() noexcept {
    for (auto& one : prepared_) {
        one.is_stale = true;
    }
}

void prepared_statements::clear() noexcept {
    for (auto& one : prepared_) {
        one.is_prepared = one.is_stale = false;
    }
    seen_.splice(seen_.begin(), prepared_);
}

}  // namespace trunkline::pg
