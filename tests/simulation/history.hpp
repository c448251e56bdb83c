#pragma once

#include "core/time.hpp"

#include <cstddef>
#include <cstdio>
#include <deque>
#include <iomanip>
#include <sstream>
#include <string>

namespace simulation {

/// What happened in a run, one line an event. Off in the runs that search; a seed that fails is run again with it on.
class history {
public:
    enum class mode : unsigned char {
        off,    ///< nothing is kept
        tail,   ///< the last lines are kept
        print,  ///< each line is printed at once, so that it is seen even if an assertion ends the program
    };

    /// When a run begins: not 0, which might pass for "no time".
    static constexpr trunkline::core::time_point origin{std::chrono::seconds{1000}};

    explicit history(mode how) : mode_{how} {}

    template <class... Parts>
    void note(trunkline::core::time_point now, const Parts&... parts) {
        if (mode_ == mode::off) {
            return;
        }
        std::ostringstream line;
        line << ++number_ << std::fixed << std::setprecision(3) << "  "
             << std::chrono::duration<double, std::milli>(now - origin).count() << " ms  ";
        (line << ... << parts);
        if (mode_ == mode::print) {
            std::printf("%s\n", line.str().c_str());
            std::fflush(stdout);
            return;
        }
        lines_.push_back(line.str());
        if (lines_.size() > kept) {
            lines_.pop_front();
        }
    }

    [[nodiscard]] std::string tail() const {
        std::string text;
        for (const auto& line : lines_) {
            text += line;
            text += '\n';
        }
        return text;
    }

private:
    static constexpr std::size_t kept = 60;
    mode mode_;
    std::size_t number_ = 0;
    std::deque<std::string> lines_;
};

}  // namespace simulation
