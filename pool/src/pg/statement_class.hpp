#pragma once

#include <string_view>

namespace trunkline::pg {

/// Whether a statement may leave something in its session that the next user would see: a setting, a role, a temporary
/// table, a cursor, an advisory lock, a subscription, a sequence's last value. Decided from the text alone, so what
/// views, triggers, defaults and operators do is not seen. In doubt it may: a reset costs little. No allocation.
[[nodiscard]] bool may_leave_state(std::string_view sql) noexcept;

/// Whether it is a COPY. That one cannot stand in a pipeline.
[[nodiscard]] bool is_copy(std::string_view sql) noexcept;

/// Whether nothing stands behind its end.
[[nodiscard]] bool is_single(std::string_view sql) noexcept;

/// Whether it reads or writes rows, so that preparing it saves the server its parsing and planning.
[[nodiscard]] bool is_preparable(std::string_view sql) noexcept;

/// Whether it drops all statements that its session has prepared: DEALLOCATE ALL, DISCARD ALL.
[[nodiscard]] bool forgets_prepared(std::string_view sql) noexcept;

/// Whether a function of PostgreSQL's own, or a word that looks like one in front of a parenthesis, leaves nothing
/// behind. `name` in lower case.
[[nodiscard]] bool is_harmless_function(std::string_view name) noexcept;

}  // namespace trunkline::pg
