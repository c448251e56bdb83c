#include <trunkline/environment.hpp>

#include <cstdlib>
#include <string>

namespace trunkline {

profile profile_from_environment(profile fallback) {
    const char* value = std::getenv("TRUNKLINE_ENV");
    if (value == nullptr || *value == '\0') {
        return fallback;
    }
    if (const auto which = profile_named(value)) {
        return *which;
    }
    throw settings_error{{{"TRUNKLINE_ENV", "is \"" + std::string{value} +
                                                "\"; give development, test, staging or production, or unset it"}}};
}

pool_settings settings_from_environment(profile fallback) { return settings_for(profile_from_environment(fallback)); }

}  // namespace trunkline
