#include "progress.hpp"

#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace trunkline::stress {

namespace {

constexpr std::size_t bar_width = 8;

std::string bar(double done) {
    const auto filled = static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * bar_width);
    std::string drawn(bar_width, ' ');
    drawn.replace(0, filled, filled, '=');
    return std::string{"["}.append(drawn).append("] ");
}

std::size_t terminal_columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

progress::progress() : terminal_{isatty(STDERR_FILENO) == 1} {}

progress::~progress() { end_line(); }

void progress::show(double done, const std::string& text) {
    const std::lock_guard lock{mutex_};
    if (terminal_) {
        auto line = (done >= 0 ? bar(done) : std::string{}) + text;
        // A line that wraps could not be redrawn.
        line.resize(std::min(line.size(), terminal_columns() - 1));
        std::fprintf(stderr, "\r%s%s", line.c_str(),
                     std::string(drawn_ > line.size() ? drawn_ - line.size() : 0, ' ').c_str());
        std::fflush(stderr);
        drawn_ = line.size();
        return;
    }
    const auto now = clock::now();
    if (now - last_plain_ >= plain_interval) {
        last_plain_ = now;
        std::fprintf(stderr, "%s\n", text.c_str());
    }
}

void progress::end_line() {
    const std::lock_guard lock{mutex_};
    leave_line();
}

void progress::leave_line() {
    if (drawn_ != 0) {
        std::fputc('\n', stderr);
        drawn_ = 0;
    }
}

void progress::say(const std::string& text) {
    const std::lock_guard lock{mutex_};
    leave_line();
    std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace trunkline::stress
