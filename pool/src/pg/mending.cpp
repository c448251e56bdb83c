#include "mending.hpp"

#include <algorithm>

namespace trunkline::pg {

step next_step(const unrest& now, std::size_t ahead) noexcept {
    if (now.statement_open && now.wants_request) {
        // In front of it runs what must not be stopped: the last lease's reset, or the statement's own time-out.
        return ahead == 0 ? step::ask : step::wait;
    }
    if (now.statement_open || now.request_open) {
        return step::wait;
    }
    if (ahead > 0) {
        return step::wait;
    }
    // The request's connection has ended, so the signal has been sent, and it may lie in wait for the next statement. A
    // statement that ended with 57014 need not have taken it: a statement_timeout, which the role, the database or the
    // lease's own SET may have armed, ends it with the same code.
    if (now.asked > 0 && !now.absorbed) {
        return step::absorb;
    }
    if (now.mending && now.in_transaction) {
        return now.rolled_back ? step::give_up : step::roll_back;
    }
    return step::done;
}

bool may_ask_to_stop(std::uint64_t requests, std::uint64_t statements) noexcept {
    constexpr std::uint64_t in_advance = 128;
    return requests < in_advance + statements / 2;
}

std::chrono::microseconds pause_before_request(unsigned asked, std::chrono::milliseconds budget) noexcept {
    constexpr unsigned most = 7;  // after which it stays half of the budget
    return std::chrono::microseconds{budget} / (1U << (most + 1 - std::clamp(asked, 1U, most)));
}

std::chrono::milliseconds grace_of(std::chrono::milliseconds timeout) noexcept {
    using namespace std::chrono_literals;
    return std::clamp<std::chrono::milliseconds>(timeout / 4, 20ms, 250ms);
}

}  // namespace trunkline::pg
