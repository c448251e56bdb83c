#pragma once

#include <trunkline/parameters.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trunkline::pg {

/// A statement that programs run: its text, and the types of its parameters. The sessions of a pool share it.
struct known_statement {
    std::string sql;
    std::vector<std::uint32_t> types;  ///< of its parameters; 0: the server infers it
    std::size_t hash;                  ///< of both
    std::string name;  ///< what it is prepared as, the same in each session: `p_` and a hash of 122 bits
    bool preparable;   ///< it reads or writes rows; others gain nothing
    bool forgets;      ///< it drops all that its session has prepared
    std::atomic<bool> unfit_to_warm{false};  ///< a new session could not prepare it
    std::atomic<std::uint64_t> uses{0};

    [[nodiscard]] bool is(std::string_view text, std::span<const parameters::entry> values) const noexcept;
};

[[nodiscard]] std::size_t hash_of(std::string_view sql, std::span<const parameters::entry> values) noexcept;

/// The statements that the sessions of one pool have met lately, 1,024 at most: those that were not met for the longest
/// time are forgotten. Any thread.
class known_statements {
public:
    /// Longer texts are never known: 1,024 of them would fill the memory.
    static constexpr std::size_t longest_text = 16'384;

    /// Null: the text is too long, or has the same hash as another one. Throws `std::bad_alloc`.
    [[nodiscard]] std::shared_ptr<known_statement> meet(std::size_t hash, std::string_view sql,
                                                        std::span<const parameters::entry> values);
    /// Those that were used most often, and `least` times at least, `count` at most.
    [[nodiscard]] std::vector<std::shared_ptr<known_statement>> most_used(std::size_t count, std::uint64_t least) const;
    /// It was used so often, and is not to be forgotten soon; one that was is known again.
    void note_uses(const std::shared_ptr<known_statement>& what, std::uint64_t uses) noexcept;

private:
    static constexpr std::size_t most = 1'024;
    using order = std::list<std::shared_ptr<known_statement>>;

    void insert(std::shared_ptr<known_statement> what);

    mutable std::mutex mutex_;
    order by_use_;  // the latest first
    std::unordered_map<std::size_t, order::iterator> by_hash_;
};

}  // namespace trunkline::pg
