#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>

namespace trunkline::stress {

/// Tells on stderr how things go: one line that is redrawn on a terminal, else a plain line every few seconds.
/// Thread-safe.
class progress {
public:
    using clock = std::chrono::steady_clock;

    progress();
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;
    ~progress();

    /// What is going on; `done` from 0 to 1 draws a bar, a negative one none.
    void show(double done, const std::string& text);
    /// Ends the redrawn line, so that other output starts on a line of its own.
    void end_line();
    /// A line that stays.
    void say(const std::string& text);

private:
    static constexpr std::chrono::seconds plain_interval{5};

    void leave_line();

    const bool terminal_;
    std::mutex mutex_;
    std::size_t drawn_ = 0;  ///< columns of the redrawn line
    clock::time_point last_plain_{};
};

}  // namespace trunkline::stress
