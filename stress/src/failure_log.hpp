#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace trunkline::stress {

/// Failures of one kind.
struct failure_kind {
    std::uint64_t count = 0;
    std::string first;  ///< the first one's own words
};

/// Failed operations by their kind, with the first message of each. Thread-safe.
class failure_log {
public:
    /// Kinds that are kept apart; the rest is counted as `other`.
    static constexpr std::size_t max_kinds = 64;

    void add(std::string_view kind, std::string_view message);
    [[nodiscard]] std::uint64_t count() const;
    [[nodiscard]] std::map<std::string, failure_kind> kinds() const;

private:
    mutable std::mutex mutex_;
    std::uint64_t count_ = 0;
    std::map<std::string, failure_kind, std::less<>> kinds_;
};

}  // namespace trunkline::stress
