#pragma once

// The one way to include Catch2: version 2 (Debian 12) and version 3 (Debian 13) name their headers differently.
#if defined(TRUNKLINE_CATCH2_VERSION) && TRUNKLINE_CATCH2_VERSION >= 3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
