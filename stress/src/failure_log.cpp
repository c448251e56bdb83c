#include "failure_log.hpp"

namespace trunkline::stress {

void failure_log::add(std::string_view kind, std::string_view message) {
    const std::lock_guard lock{mutex_};
    ++count_;
    auto found = kinds_.find(kind);
    if (found == kinds_.end()) {
        const bool full = kinds_.size() >= max_kinds;
        found = kinds_.try_emplace(full ? std::string{"other"} : std::string{kind}).first;
    }
    auto& known = found->second;
    if (known.count++ == 0) {
        known.first = message;
    }
}

std::uint64_t failure_log::count() const {
    const std::lock_guard lock{mutex_};
    return count_;
}

std::map<std::string, failure_kind> failure_log::kinds() const {
    const std::lock_guard lock{mutex_};
    return {kinds_.begin(), kinds_.end()};
}

}  // namespace trunkline::stress
