#include "phase_board.hpp"

#include "numbers.hpp"

#include <algorithm>

namespace trunkline::stress {

void phase_board::enter(std::string title) { enter(phase{.title = std::move(title)}); }

void phase_board::enter(loader& loading) { enter(phase{.title = "loading", .loading = &loading}); }

void phase_board::enter(workload& running, std::string title, std::chrono::nanoseconds expected) {
    enter(phase{.title = std::move(title), .running = &running, .expected = expected});
}

void phase_board::enter(phase next) {
    const std::lock_guard lock{mutex_};
    phase_ = std::move(next);
    phase_.began = clock::now();
    phase_.drawn_at = phase_.began;
    if (interrupted_) {
        stop_current();
    }
}

void phase_board::interrupt() {
    const std::lock_guard lock{mutex_};
    interrupted_ = true;
    stop_current();
}

void phase_board::stop_current() {
    if (phase_.loading != nullptr) {
        phase_.loading->stop();
    }
    if (phase_.running != nullptr) {
        phase_.running->stop();
    }
}

void phase_board::draw() {
    const std::lock_guard lock{mutex_};
    const auto now = clock::now();
    if (phase_.running != nullptr) {
        draw_run(now);
    } else if (phase_.loading != nullptr) {
        progress_.show(-1, phase_.title + ": " + with_commas(phase_.loading->loaded()) + " posts in " +
                               short_time(now - phase_.began));
    } else if (!phase_.title.empty()) {
        progress_.show(-1, phase_.title);
    }
}

void phase_board::draw_run(clock::time_point now) {
    const auto seen = phase_.running->view();
    const auto counts = pool_.stats();
    const double since = std::chrono::duration<double>(now - phase_.drawn_at).count();
    // At the end of the warm-up the count starts again.
    const auto fresh = seen.done >= phase_.done_before ? seen.done - phase_.done_before : seen.done;
    const double rate = since > 0 ? static_cast<double>(fresh) / since : 0;
    phase_.done_before = seen.done;
    phase_.drawn_at = now;
    const double share = std::chrono::duration<double>(now - phase_.began) / phase_.expected;
    // Short enough for a terminal of 80 columns.
    progress_.show(share, phase_.title + short_time(now - phase_.began) + "  " + decimal(rate, 0) + "/s p99 " +
                              short_time(seen.p99) + " errors " + with_commas(seen.failed) + " leased " +
                              std::to_string(counts.leased) + " idle " + std::to_string(counts.idle) + " waiting " +
                              with_commas(counts.waiting));
}

}  // namespace trunkline::stress
