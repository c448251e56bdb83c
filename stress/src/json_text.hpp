#pragma once

#include <boost/json/value.hpp>

#include <string>

namespace trunkline::stress {

/// JSON that people can read too: indented, and numbers as they are written by hand (`412.3`, not `4.123E2`).
std::string to_text(const boost::json::value& value);

}  // namespace trunkline::stress
