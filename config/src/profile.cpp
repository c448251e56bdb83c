#include <trunkline/profile.hpp>

#include <array>
#include <utility>

namespace trunkline {

namespace {

constexpr std::array<std::pair<std::string_view, profile>, 4> names{{
    {"development", profile::development},
    {"test", profile::test},
    {"staging", profile::staging},
    {"production", profile::production},
}};

size_settings size_of(profile which) {
    switch (which) {
    case profile::development: return {.min = 5, .max = 10};
    case profile::test: return {.min = 2, .max = 5};
    case profile::staging: return {.min = 20, .max = 30};
    case profile::production: return {.min = 50, .max = 50};
    }
    return {};
}

}  // namespace

pool_settings settings_for(profile which) {
    pool_settings settings;
    settings.size = size_of(which);
    return settings;
}

std::optional<profile> profile_named(std::string_view name) noexcept {
    for (const auto& [known, which] : names) {
        if (known == name) {
            return which;
        }
    }
    return std::nullopt;
}

std::string_view name_of(profile which) noexcept {
    for (const auto& [name, known] : names) {
        if (known == which) {
            return name;
        }
    }
    return "unknown";
}

}  // namespace trunkline
