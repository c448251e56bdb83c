// One target under libFuzzer: which one, TRUNKLINE_FUZZ_TARGET says.
#include "fuzz_targets.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace fuzz = trunkline::test::fuzz;
    static constexpr fuzz::target chosen{"", fuzz::TRUNKLINE_FUZZ_TARGET};
    fuzz::run(chosen, {reinterpret_cast<const char*>(data), size});
    return 0;
}
