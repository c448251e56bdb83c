#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace trunkline::stress {

/// What a client can ask for.
enum class operation {
    search,  ///< full-text search, ranked and limited
    read,    ///< one post by its id
    update,  ///< one more point of score for one post
    insert,  ///< a new post
};

inline constexpr std::size_t operation_count = 4;
inline constexpr std::array<operation, operation_count> all_operations{operation::search, operation::read,
                                                                       operation::update, operation::insert};

constexpr std::size_t index_of(operation which) { return static_cast<std::size_t>(which); }

constexpr std::string_view name_of(operation which) {
    switch (which) {
    case operation::search: return "search";
    case operation::read: return "read";
    case operation::update: return "update";
    case operation::insert: return "insert";
    }
    return "";
}

}  // namespace trunkline::stress
