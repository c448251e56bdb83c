#include "support/catch.hpp"

#include <trunkline/profile.hpp>

namespace {

using namespace trunkline;

constexpr profile all[] = {profile::development, profile::test, profile::staging, profile::production};

}  // namespace

TEST_CASE("each profile has its sizes") {
    CHECK(settings_for(profile::development).size == size_settings{.min = 5, .max = 10});
    CHECK(settings_for(profile::test).size == size_settings{.min = 2, .max = 5});
    CHECK(settings_for(profile::staging).size == size_settings{.min = 20, .max = 30});
    CHECK(settings_for(profile::production).size == size_settings{.min = 50, .max = 50});
}

TEST_CASE("the settings of every profile are valid, and differ from the defaults by their sizes alone") {
    for (const auto which : all) {
        auto settings = settings_for(which);
        CHECK(validate(settings).empty());
        settings.size = {};
        CHECK(settings == pool_settings{});
    }
}

TEST_CASE("production takes a hundred connections and more by size.max") {
    auto settings = settings_for(profile::production);
    settings.size.max = 150;
    CHECK(validate(settings).empty());
}

TEST_CASE("a profile's name names it") {
    for (const auto which : all) {
        CHECK(profile_named(name_of(which)) == which);
    }
    CHECK(name_of(profile::staging) == "staging");
}

TEST_CASE("a name that is not exactly a profile's names none") {
    for (const char* name : {"", "prod", "Production", "production ", "dev"}) {
        INFO('"' << name << '"');
        CHECK(profile_named(name) == std::nullopt);
    }
}
