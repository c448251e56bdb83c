#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace trunkline::stress {

/// What became of one write, as its client knows it.
enum class write_outcome {
    acknowledged,  ///< the server said that it is done
    refused,       ///< never sent, or the server said that it is not done
    unknown,       ///< the connection broke in between
};

/// Writes counted.
struct write_counts {
    std::uint64_t acknowledged = 0;
    std::uint64_t found = 0;       ///< acknowledged ones that are there
    std::uint64_t lost = 0;        ///< acknowledged ones that are not
    std::uint64_t unknown = 0;     ///< outcome not known to their client
    std::uint64_t unexpected = 0;  ///< there, and nobody asked for them: a write that was carried out twice
};

/// Keeps account of every write, so that each acknowledged one can be looked for afterwards: how many points each post
/// was given, and which of the numbered new posts were inserted. 8 bytes a post and 2 bits an insert. Thread-safe.
class ledger {
public:
    /// Inserts that can be told apart; beyond them `begin_insert` gives nothing. Their bits are 64 MiB.
    static constexpr std::uint64_t max_inserts = std::uint64_t{1} << 28;

    explicit ledger(std::size_t posts);

    void update_ended(std::size_t post, write_outcome outcome);

    /// The number of the next insert, from 0.
    std::optional<std::uint64_t> begin_insert();
    void insert_ended(std::uint64_t number, write_outcome outcome);

    /// After the last write: what the server holds, one post after the other. `points` is what `post` gained since the
    /// start, or nothing if the post is gone.
    void audit_updates(std::size_t post, std::optional<std::int64_t> points);
    /// After the last write: an inserted post that the server holds.
    void audit_insert(std::uint64_t number);
    /// After everything the server holds was reported; call it once.
    [[nodiscard]] write_counts close();

private:
    struct points {
        std::uint32_t acknowledged = 0;
        std::uint32_t unknown = 0;
    };
    /// Two bits an insert.
    enum insert_state : std::uint64_t {
        none = 0,
        done = 1,   ///< acknowledged and not yet found
        maybe = 2,  ///< unknown and not yet found
        seen = 3,   ///< found
    };
    [[nodiscard]] insert_state state_of(std::uint64_t number) const;
    void set_state(std::uint64_t number, insert_state state);

    std::mutex mutex_;
    std::vector<points> updates_;
    std::vector<std::uint64_t> inserts_;
    std::uint64_t next_insert_ = 0;
    write_counts counts_;
};

}  // namespace trunkline::stress
