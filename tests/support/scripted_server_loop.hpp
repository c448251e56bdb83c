#pragma once

#include "support/scripted_server.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <poll.h>
#include <thread>
#include <utility>

namespace trunkline::test {

/// A file descriptor that closes itself.
class owned_descriptor {
public:
    owned_descriptor() = default;
    explicit owned_descriptor(int descriptor) noexcept : descriptor_{descriptor} {}
    owned_descriptor(owned_descriptor&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
    owned_descriptor& operator=(owned_descriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~owned_descriptor();

    [[nodiscard]] int get() const noexcept { return descriptor_; }

private:
    int descriptor_ = -1;
};

/// The thread of a `scripted_server`: sockets and time. It alone touches the connections; others ask by `run`.
class scripted_server::loop {
public:
    struct peer {
        owned_descriptor socket;
        clock::time_point accepted;
        scripted_session session;
        std::optional<std::size_t> number{};     ///< of the session, once there is one
        std::optional<clock::time_point> due{};  ///< of the output's first piece, once it is the first
        bool ready = false;
        bool mute = false;  ///< takes what comes and says no more
        bool gone = false;
    };

    loop();
    ~loop();

    /// Runs `deed` on the thread, and returns when it has.
    void run(std::function<void()> deed);
    /// On the thread only: calls `deed` for every connection, or for one session's. Gives for how many.
    template <typename Deed>
    std::size_t for_each(std::optional<std::size_t> session, const Deed& deed) {
        std::size_t count = 0;
        for (auto& one : peers_) {
            if (!one.gone && (!session || one.number == session)) {
                deed(one);
                ++count;
            }
        }
        return count;
    }
    void flush(peer& to);
    /// Sends bytes before what waits for its time, also where nothing is said any more.
    void push(peer& to, const std::string& bytes);
    void end(peer& which, afterwards how);

    void listen();
    void stop_listening() { listener_ = owned_descriptor{}; }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    // The script, on the thread alone.
    std::deque<greeting> next;
    greeter greets = [](std::size_t) { return greeting{}; };
    answerer answers;
    bool held = false;

    // What was seen, under the mutex.
    mutable std::mutex mutex;
    mutable std::condition_variable something_happened;
    std::size_t happenings = 0;
    counts seen;
    std::vector<session_record> sessions;
    std::vector<clock::time_point> accepts;
    std::vector<cancel_record> cancels;

private:
    void work();
    void wait_and_serve();
    [[nodiscard]] bool is_blocked(peer& one, clock::time_point now) const;
    [[nodiscard]] int poll_timeout(clock::time_point now) const;
    void accept_all();
    void read_from(peer& one);
    void learn(peer& from, scripted_session::news about);
    void cancel(const scripted_session::cancel_request& wanted);
    bool send_first(peer& to);
    void note_ready(peer& of);
    greeting choose_greeting(std::size_t number);
    void note_end(peer& of);

    std::uint16_t port_ = 0;
    owned_descriptor keeper_;  // is bound and never listens: so the port stays ours while nobody listens
    owned_descriptor listener_;
    owned_descriptor wake_;
    std::deque<peer> peers_;
    std::int32_t next_pid_ = 1'000;
    bool stopping_ = false;

    std::mutex deeds_mutex_;
    std::deque<std::function<void()>> deeds_;
    std::thread thread_;
};

}  // namespace trunkline::test
