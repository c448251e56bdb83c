#include "support/scripted_server.hpp"

#include "support/scripted_server_loop.hpp"

#include <algorithm>
#include <utility>

namespace trunkline::test {

scripted_server::scripted_server() : loop_{std::make_unique<loop>()} {}

scripted_server::~scripted_server() = default;

std::uint16_t scripted_server::port() const noexcept { return loop_->port(); }

std::string scripted_server::url() const {
    return "postgresql://user:secret@127.0.0.1:" + std::to_string(port()) + "/db?sslmode=disable&gssencmode=disable";
}

void scripted_server::greet_next(greeting how) {
    loop_->run([&] { loop_->next.push_back(std::move(how)); });
}

void scripted_server::greet_with(greeter how) {
    loop_->run([&] { loop_->greets = std::move(how); });
}

void scripted_server::greet_with(const greeting& how) {
    greet_with([how](std::size_t) { return how; });
}

void scripted_server::answer_with(answerer how) {
    loop_->run([&] { loop_->answers = std::move(how); });
}

void scripted_server::answer_with(const answer& how) {
    answer_with([how](const received_statement&) { return how; });
}

void scripted_server::hold_answers() {
    loop_->run([&] { loop_->held = true; });
}

void scripted_server::release_answers() {
    loop_->run([&] { loop_->held = false; });
}

std::size_t scripted_server::push(const std::string& bytes) {
    std::size_t pushed = 0;
    loop_->run([&] { pushed = loop_->for_each(std::nullopt, [&](loop::peer& one) { loop_->push(one, bytes); }); });
    return pushed;
}

std::size_t scripted_server::push(std::size_t session, const std::string& bytes) {
    std::size_t pushed = 0;
    loop_->run([&] { pushed = loop_->for_each(session, [&](loop::peer& one) { loop_->push(one, bytes); }); });
    return pushed;
}

std::size_t scripted_server::end(afterwards how) {
    std::size_t ended = 0;
    loop_->run([&] { ended = loop_->for_each(std::nullopt, [&](loop::peer& one) { loop_->end(one, how); }); });
    return ended;
}

std::size_t scripted_server::end(std::size_t session, afterwards how) {
    std::size_t ended = 0;
    loop_->run([&] { ended = loop_->for_each(session, [&](loop::peer& one) { loop_->end(one, how); }); });
    return ended;
}

void scripted_server::stop_listening() {
    loop_->run([&] { loop_->stop_listening(); });
}

void scripted_server::listen() {
    loop_->run([&] { loop_->listen(); });
}

std::vector<std::string> scripted_server::session_record::texts() const {
    std::vector<std::string> all;
    std::ranges::transform(statements, std::back_inserter(all), &received_statement::text);
    return all;
}

scripted_server::counts scripted_server::count() const {
    const std::lock_guard lock{loop_->mutex};
    return loop_->seen;
}

std::vector<scripted_server::session_record> scripted_server::sessions() const {
    const std::lock_guard lock{loop_->mutex};
    return loop_->sessions;
}

scripted_server::session_record scripted_server::session(std::size_t number) const {
    const std::lock_guard lock{loop_->mutex};
    return loop_->sessions.at(number);
}

std::vector<scripted_server::clock::time_point> scripted_server::accepts() const {
    const std::lock_guard lock{loop_->mutex};
    return loop_->accepts;
}

std::vector<scripted_server::cancel_record> scripted_server::cancels() const {
    const std::lock_guard lock{loop_->mutex};
    return loop_->cancels;
}

bool scripted_server::wait_for(const std::function<bool()>& holds, std::chrono::milliseconds within) const {
    const auto give_up = clock::now() + within;
    std::unique_lock lock{loop_->mutex};
    for (;;) {
        const auto known = loop_->happenings;
        lock.unlock();
        if (holds()) {
            return true;
        }
        lock.lock();
        if (!loop_->something_happened.wait_until(lock, give_up, [&] { return loop_->happenings != known; })) {
            return false;
        }
    }
}

std::size_t scripted_server::handshake_size() { return handshake_bytes({}, {}).size(); }

}  // namespace trunkline::test
