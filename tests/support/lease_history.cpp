#include "support/lease_history.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace trunkline::test {

namespace {

/// A lease, and the first moment at which it can have been handed over.
struct granted {
    leasing by;
    std::uint64_t earliest = 0;
};

std::string words(const leasing& one) {
    return "the caller of moment " + std::to_string(one.called) + " (session " + std::to_string(one.session) +
           ", told at " + std::to_string(one.told) + ")";
}

/// `all` in the order of their completions; notes when each can have been handed over at the earliest.
std::string held_by_two(std::vector<granted>& all) {
    std::map<int, const leasing*> last;
    for (granted& one : all) {
        one.earliest = one.by.called;
        const leasing*& before = last[one.by.session];
        if (before != nullptr) {
            if (before->returned == 0 || before->returned > one.by.told) {
                return words(one.by) + " was lent what " + words(*before) + " still held";
            }
            one.earliest = std::max(one.earliest, before->returned);
        }
        before = &one.by;
    }
    return {};
}

std::string too_many_at_once(const std::vector<granted>& all, std::size_t connections) {
    std::vector<std::pair<std::uint64_t, int>> changes;
    for (const granted& one : all) {
        changes.emplace_back(one.by.told, 1);
        if (one.by.returned != 0) {
            changes.emplace_back(one.by.returned, -1);
        }
    }
    std::sort(changes.begin(), changes.end());
    std::size_t held = 0;
    for (const auto& [moment, change] : changes) {
        held += static_cast<std::size_t>(change);
        if (held > connections) {
            return std::to_string(held) + " were held at once at moment " + std::to_string(moment);
        }
    }
    return {};
}

/// For each caller, the most belated hand-over among those who waited before its call.
std::string served_before_its_turn(const std::vector<granted>& all) {
    const auto waiting_from = [](const granted* one) { return std::min(one->by.waiting, one->by.told); };
    std::vector<const granted*> by_queue;
    std::vector<const granted*> by_call;
    for (const granted& one : all) {
        by_queue.push_back(&one);
        by_call.push_back(&one);
    }
    std::sort(by_queue.begin(), by_queue.end(), [&](auto* a, auto* b) { return waiting_from(a) < waiting_from(b); });
    std::sort(by_call.begin(), by_call.end(), [](auto* a, auto* b) { return a->by.called < b->by.called; });
    auto before = by_queue.begin();
    const granted* latest = nullptr;
    for (const granted* one : by_call) {
        for (; before != by_queue.end() && waiting_from(*before) < one->by.called; ++before) {
            if (latest == nullptr || (*before)->earliest > latest->earliest) {
                latest = *before;
            }
        }
        if (latest != nullptr && latest->earliest > one->by.told) {
            return words(one->by) + " was served before " + words(latest->by) + ", who waited since " +
                   std::to_string(latest->by.waiting);
        }
    }
    return {};
}

}  // namespace

std::string contradiction_in(const std::vector<leasing>& seen, std::size_t connections) {
    std::vector<granted> all;
    for (const leasing& one : seen) {
        if (one.told == 0) {
            return words(one) + " was never told";
        }
        if (one.session != 0) {
            all.push_back({one});
        }
    }
    std::sort(all.begin(), all.end(), [](const granted& a, const granted& b) { return a.by.told < b.by.told; });
    auto found = held_by_two(all);
    if (found.empty()) {
        found = too_many_at_once(all, connections);
    }
    return found.empty() ? served_before_its_turn(all) : found;
}

}  // namespace trunkline::test
