#pragma once

#include "known_statements.hpp"

#include <chrono>
#include <list>
#include <memory>
#include <unordered_map>

namespace trunkline::pg {

/// What preparing goes by.
struct prepare_limits {
    std::uint64_t after_uses = 5;      ///< of a statement in the whole pool; 0: nothing is prepared
    std::size_t max_statements = 256;  ///< that a session has prepared at a time
    std::chrono::milliseconds ttl{0};  ///< how long one stays; 0: as long as its session
};

/// How a statement is sent.
enum class way : unsigned char {
    unnamed,   ///< the server parses it, and forgets it
    prepare,   ///< under its name, which is parsed in the same round trip
    prepared,  ///< by its name
};

/// Which statements a session has prepared, and which it is to prepare: the least recently used one makes room for
/// another. Values and pointers, no I/O. Not thread-safe: the session's lock guards it.
class prepared_statements {
public:
    using time_point = std::chrono::steady_clock::time_point;

    struct choice {
        way how = way::unnamed;
        known_statement* what = nullptr;            ///< null: not known; valid until the next call
        std::shared_ptr<known_statement> closed{};  ///< to be closed first; null: nothing
    };

    /// How this use of a statement is sent, and notes the use. `at_rest`: outside a transaction, where a mistake is
    /// mended; inside nothing is closed. What it says is prepared counts as prepared from then on: what does not come
    /// about is to be told. Throws `std::bad_alloc`, before anything has changed.
    [[nodiscard]] choice choose(std::string_view sql, std::span<const parameters::entry> values, bool at_rest,
                                const prepare_limits& by, known_statements& pool);
    /// The server has it, without its having been chosen.
    void add(std::shared_ptr<known_statement> what, const prepare_limits& by);
    [[nodiscard]] bool has(const known_statement& what) const noexcept;

    /// The server has not prepared it, or has it no more.
    void forget(const known_statement& what) noexcept;
    /// It is not known whether the server has it, or its plan no longer fits: it is closed before it is prepared again.
    void doubt(const known_statement& what) noexcept;
    /// The server has forgotten them all.
    void clear() noexcept;
    /// It is not known which of them the server has.
    void doubt_all() noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return prepared_.size(); }

private:
    struct entry {
        std::shared_ptr<known_statement> what;
        bool is_prepared = false;
        bool is_stale = false;
        std::uint32_t uses = 0;  // that the pool has not been told of
        time_point expires = time_point::max();
    };
    using order = std::list<entry>;

    choice prepare(order::iterator at, bool at_rest, const prepare_limits& by);
    static void note_use(entry& one, known_statements& pool) noexcept;
    void take_in(order::iterator at, const prepare_limits& by);

    static constexpr std::size_t most_seen = 128;  // that are not prepared
    static constexpr std::uint32_t lot = 64;       // in which uses are told, and clocks read

    order prepared_;  // the latest first
    order seen_;      // the same
    std::unordered_map<std::size_t, order::iterator> by_hash_;
};

}  // namespace trunkline::pg
