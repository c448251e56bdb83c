#pragma once

namespace trunkline::pg {

/// How often this process, counted with its ancestors, is the child of a fork. A number taken before a fork differs from
/// the child's. One atomic load.
unsigned fork_generation() noexcept;

/// Whether the process has forked, and this is the child, since `generation` was taken. What was made before belongs to
/// the parent: sockets and epoll sets are shared with it, and the other threads are gone, maybe with their locks held.
inline bool forked_since(unsigned generation) noexcept { return fork_generation() != generation; }

}  // namespace trunkline::pg
