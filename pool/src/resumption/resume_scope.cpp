#include "resume_scope.hpp"

#include "suspension.hpp"

namespace trunkline::detail {

resume_scope::~resume_scope() {
    current = outer_;
    while (suspension* const left = pop()) {
        left->enqueue();
    }
}

void resume_scope::run() {
    for (std::size_t i = 0; i < most_resumptions; ++i) {
        suspension* const next = pop();
        if (next == nullptr) {
            return;
        }
        next->resume();
    }
}

void resume_scope::note(suspension& woken) noexcept {
    woken.next_noted() = nullptr;
    (last_ == nullptr ? first_ : last_->next_noted()) = &woken;
    last_ = &woken;
}

suspension* resume_scope::pop() noexcept {
    suspension* const head = first_;
    if (head != nullptr) {
        first_ = head->next_noted();
        last_ = first_ == nullptr ? nullptr : last_;
    }
    return head;
}

}  // namespace trunkline::detail
