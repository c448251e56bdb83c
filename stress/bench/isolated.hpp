#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <type_traits>

namespace trunkline::bench {

/// Runs `work` in a child process and gives what it returned; its exception becomes a `std::runtime_error` here.
/// For processes with one thread.
std::string run_isolated_bytes(const std::function<std::string()>& work);

/// The same for plain values. Each round has a process of its own, so that its peak memory and its CPU time are its own.
template <typename Work>
auto run_isolated(const Work& work) {
    using figures = std::invoke_result_t<const Work&>;
    static_assert(std::is_trivially_copyable_v<figures>);
    const auto bytes = run_isolated_bytes([&work] {
        const figures measured = work();
        return std::string{reinterpret_cast<const char*>(&measured), sizeof(measured)};
    });
    figures measured;
    std::memcpy(&measured, bytes.data(), sizeof(measured));
    return measured;
}

}  // namespace trunkline::bench
