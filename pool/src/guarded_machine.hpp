#pragma once

#include "core/machine.hpp"

#include <trunkline/stats.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace trunkline::detail {

/// The core behind the pool's one lock. Whoever holds `entry` may call it; its counters can be read by anybody at any
/// time, without the lock, as one consistent snapshot.
class guarded_machine {
public:
    guarded_machine(const core::limits& limits, std::uint64_t seed) : core_{limits, seed} {}

    /// The lock, held. Nothing but the core is called meanwhile: no user code, no operation is started.
    class entry {
    public:
        explicit entry(guarded_machine& into) noexcept : into_{into} {
            into_.mutex_.lock();
            into_.version_.store(into_.version_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_release);
        }
        ~entry() {
            into_.version_.store(into_.version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
            into_.mutex_.unlock();
        }
        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;

        core::machine* operator->() const noexcept { return &into_.core_; }
        core::machine& operator*() const noexcept { return into_.core_; }

    private:
        guarded_machine& into_;
    };

    /// False if certainly no connection lies idle at this moment: spares a caller who must wait the first locking.
    [[nodiscard]] bool may_have_idle() const noexcept { return core_.numbers().idle.value() != 0; }

    /// The core to look at, the lock held: the counters' readers are not disturbed.
    template <typename Look>
    void look(Look look_at) const {
        const std::lock_guard lock{mutex_};
        look_at(core_);
    }

    /// The core to look at for the last time, without taking the lock: in the child of a fork a thread that is not here
    /// may hold it for ever.
    template <typename Look>
    void take_apart(Look look_at) const {
        look_at(core_);
    }

    /// The counts, all of one moment. A reader who finds a writer at work tries again, and after many times takes the
    /// lock: writers never wait for a reader who does not.
    [[nodiscard]] pool_counts counts() const noexcept {
        for (int attempt = 0; attempt < most_attempts; ++attempt) {
            const auto before = version_.load(std::memory_order_acquire);
            if (before % 2 == 0) {
                const auto found = read();
                std::atomic_thread_fence(std::memory_order_acquire);
                if (version_.load(std::memory_order_relaxed) == before) {
                    return found;
                }
            }
        }
        const std::lock_guard lock{mutex_};
        return read();
    }

private:
    static constexpr int most_attempts = 1'000;

    [[nodiscard]] pool_counts read() const noexcept;

    mutable std::mutex mutex_;
    std::atomic<std::uint64_t> version_{0};  // odd while the core is being changed
    core::machine core_;
};

}  // namespace trunkline::detail
