#pragma once

#include "loader.hpp"
#include "progress.hpp"
#include "workload.hpp"

#include <trunkline/pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace trunkline::stress {

/// What the job is doing now: told by the job, shown to the user, ended early when she interrupts. Thread-safe.
class phase_board {
public:
    using clock = workload::clock;

    /// Both must outlive it.
    phase_board(progress& shown, const pool& used) : progress_{shown}, pool_{used} {}

    void enter(std::string title);
    /// The loader or workload must stay until the next phase is entered.
    void enter(loader& loading);
    void enter(workload& running, std::string title, std::chrono::nanoseconds expected);

    /// Ends the loading or the run that is under way, and each that comes.
    void interrupt();
    [[nodiscard]] bool interrupted() const noexcept { return interrupted_; }

    /// Shows the state of things.
    void draw();
    void say(const std::string& text) { progress_.say(text); }

private:
    struct phase {
        std::string title;
        loader* loading = nullptr;
        workload* running = nullptr;
        clock::time_point began{};
        std::chrono::nanoseconds expected{0};
        std::uint64_t done_before = 0;  ///< at the last drawing
        clock::time_point drawn_at{};
    };
    void enter(phase next);
    void stop_current();
    void draw_run(clock::time_point now);

    progress& progress_;
    const pool& pool_;
    std::atomic<bool> interrupted_{false};
    std::mutex mutex_;
    phase phase_;
};

}  // namespace trunkline::stress
