#pragma once

#include <string>
#include <string_view>

namespace trunkline::pg {

/// `text` on one line, with each part of three or more characters that it shares with `secret` replaced by `…`, except
/// for the keywords of connection strings. libpq quotes what it cannot read, and that may be a piece of a password.
std::string masked_text(std::string_view text, std::string_view secret);

}  // namespace trunkline::pg
