#include "ledger.hpp"

#include <algorithm>
#include <cassert>

namespace trunkline::stress {

namespace {
constexpr std::uint64_t states_per_word = 32;
}

ledger::ledger(std::size_t posts) : updates_(posts) {}

void ledger::update_ended(std::size_t post, write_outcome outcome) {
    const std::lock_guard lock{mutex_};
    assert(post < updates_.size());
    switch (outcome) {
    case write_outcome::acknowledged:
        ++updates_[post].acknowledged;
        ++counts_.acknowledged;
        break;
    case write_outcome::unknown:
        ++updates_[post].unknown;
        ++counts_.unknown;
        break;
    case write_outcome::refused: break;
    }
}

std::optional<std::uint64_t> ledger::begin_insert() {
    const std::lock_guard lock{mutex_};
    if (next_insert_ == max_inserts) {
        return std::nullopt;
    }
    if (next_insert_ % states_per_word == 0) {
        inserts_.push_back(0);
    }
    return next_insert_++;
}

void ledger::insert_ended(std::uint64_t number, write_outcome outcome) {
    const std::lock_guard lock{mutex_};
    assert(number < next_insert_);
    switch (outcome) {
    case write_outcome::acknowledged:
        set_state(number, done);
        ++counts_.acknowledged;
        break;
    case write_outcome::unknown:
        set_state(number, maybe);
        ++counts_.unknown;
        break;
    case write_outcome::refused: break;
    }
}

void ledger::audit_updates(std::size_t post, std::optional<std::int64_t> gained) {
    const std::lock_guard lock{mutex_};
    const auto& expected = updates_.at(post);
    if (!gained) {
        // The post itself was loaded and acknowledged: it counts even if nobody gave it a point.
        counts_.lost += std::max(expected.acknowledged, std::uint32_t{1});
        return;
    }
    const auto least = static_cast<std::int64_t>(expected.acknowledged);
    const auto most = least + static_cast<std::int64_t>(expected.unknown);
    if (*gained < least) {
        counts_.lost += static_cast<std::uint64_t>(least - *gained);
    } else if (*gained > most) {
        counts_.unexpected += static_cast<std::uint64_t>(*gained - most);
    }
}

void ledger::audit_insert(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    const auto state = number < next_insert_ ? state_of(number) : none;
    if (state == done || state == maybe) {
        set_state(number, seen);
    } else {
        ++counts_.unexpected;
    }
}

write_counts ledger::close() {
    const std::lock_guard lock{mutex_};
    for (std::uint64_t number = 0; number < next_insert_; ++number) {
        counts_.lost += state_of(number) == done ? 1 : 0;
    }
    counts_.found = counts_.acknowledged - std::min(counts_.lost, counts_.acknowledged);
    return counts_;
}

ledger::insert_state ledger::state_of(std::uint64_t number) const {
    return static_cast<insert_state>(inserts_[number / states_per_word] >> (number % states_per_word * 2) & 3);
}

void ledger::set_state(std::uint64_t number, insert_state state) {
    auto& word = inserts_[number / states_per_word];
    const auto shift = number % states_per_word * 2;
    word = (word & ~(std::uint64_t{3} << shift)) | static_cast<std::uint64_t>(state) << shift;
}

}  // namespace trunkline::stress
