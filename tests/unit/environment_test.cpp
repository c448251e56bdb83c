#include "support/catch.hpp"

#include <trunkline/environment.hpp>

#include <cstdlib>
#include <optional>
#include <string>

namespace {

using namespace trunkline;

constexpr const char* variable = "TRUNKLINE_ENV";

/// Sets the variable for a test, or unsets it, and puts back what was there. The tests run on one thread.
class environment {
public:
    explicit environment(const char* value) {
        if (const char* old = std::getenv(variable)) {  // NOLINT(concurrency-mt-unsafe)
            old_ = old;
        }
        put(value);
    }
    ~environment() { put(old_ ? old_->c_str() : nullptr); }
    environment(const environment&) = delete;
    environment& operator=(const environment&) = delete;

private:
    static void put(const char* value) {
        if (value != nullptr) {
            ::setenv(variable, value, 1);  // NOLINT(concurrency-mt-unsafe)
        } else {
            ::unsetenv(variable);  // NOLINT(concurrency-mt-unsafe)
        }
    }

    std::optional<std::string> old_;
};

}  // namespace

TEST_CASE("TRUNKLINE_ENV chooses the profile") {
    const environment set{"production"};
    CHECK(profile_from_environment() == profile::production);
    CHECK(profile_from_environment(profile::test) == profile::production);
    CHECK(settings_from_environment() == settings_for(profile::production));
}

TEST_CASE("without TRUNKLINE_ENV, or with an empty one, the fallback is taken") {
    for (const char* value : {static_cast<const char*>(nullptr), ""}) {
        const environment set{value};
        CHECK(profile_from_environment() == profile::development);
        CHECK(profile_from_environment(profile::staging) == profile::staging);
        CHECK(settings_from_environment(profile::test) == settings_for(profile::test));
    }
}

TEST_CASE("a TRUNKLINE_ENV that names no profile is an error that says what it may be") {
    const environment set{"produktion"};
    try {
        (void)profile_from_environment();
        FAIL("no error");
    } catch (const settings_error& error) {
        const std::string text = error.what();
        for (const char* part : {"TRUNKLINE_ENV", "produktion", "development", "test", "staging", "production"}) {
            INFO(part);
            CHECK(text.find(part) != std::string::npos);
        }
    }
    CHECK_THROWS_AS(settings_from_environment(), settings_error);
}
