#pragma once

#include "statement.hpp"

#include <cstddef>
#include <span>

namespace trunkline::pg {

/// The statements of a pipeline: an operation of several parts. It lives with its operation.
struct batch {
    /// Of each: the statement and its parameters, and its own outcome once it is answered.
    std::span<operation> pieces;
    bool atomic = false;       ///< one Sync for all, else one behind each
    std::size_t sent = 0;      ///< handed to libpq, the first ones
    std::size_t answered = 0;  ///< the first ones
    std::size_t settled = 0;   ///< the first ones: their Sync has been answered, which is when the server commits
    bool heard = false;        ///< a part of the next one's answer has come

    [[nodiscard]] bool is_all_sent() const noexcept { return sent == pieces.size(); }
    [[nodiscard]] bool is_all_answered() const noexcept { return answered == pieces.size(); }
    [[nodiscard]] std::size_t under_way() const noexcept { return sent - answered; }
};

/// At most so many statements are under way. Vert.x's figure.
inline constexpr std::size_t deepest_batch = 256;
/// So much is handed to libpq before the network is asked whether it takes it.
inline constexpr std::size_t most_unsent = std::size_t{1} << 20;

/// Why none of it can be sent; no error if it can. `said.message` names the statement.
error_code check_batch(const batch& what, diagnostics& said);

/// Hands the next statement to libpq, with its Sync. Adds to `syncs` what the server has to answer. False: libpq refuses.
bool send_piece(PGconn* to, batch& from, std::size_t& syncs);

/// Takes what has arrived into the pieces' outcomes; the session's last words into the whole's, because they are no
/// answer to a piece. Takes away from `syncs` what the server has answered.
progress collect_batch(PGconn* from, operation& whole, std::size_t& syncs);

/// Roughly what a statement takes on the wire.
[[nodiscard]] std::size_t size_of(const operation& what) noexcept;

}  // namespace trunkline::pg
