#include "canceller.hpp"

#include "helper_thread.hpp"

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <poll.h>
#include <utility>

namespace trunkline::pg {

namespace {

// Two, so that one server that is a black hole, for which PQcancel of libpq < 17 waits minutes, does not stop the
// others; more would be a flood of connections at a server that is in trouble.
constexpr std::size_t most_threads = 2;
// Enough for a large pool that closes; at a millisecond each they are half a second's.
constexpr std::size_t most_waiting = 1'000;
constexpr std::chrono::seconds oldest{10};

#ifdef LIBPQ_HAS_ASYNC_CANCEL

constexpr std::chrono::seconds deadline{2};

cancel_target* make_target(PGconn* session) noexcept { return PQcancelCreate(session); }
void free_target(cancel_target* target) noexcept { PQcancelFinish(target); }

// Encrypted when the session is, and under a deadline. On this thread and not on the reactor, because the TLS handshake
// costs milliseconds. False: nobody knows whether the server has taken it.
bool send(cancel_target* request) noexcept {
    const auto end = std::chrono::steady_clock::now() + deadline;
    PQcancelReset(request);  // of an earlier request
    if (PQcancelStart(request) == 0) {
        return true;
    }
    auto state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_WRITING || state == PGRES_POLLING_READING) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd watched{PQcancelSocket(request), static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                       0};
        if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) {
            return false;
        }
        state = PQcancelPoll(request);
    }
    return true;
}

#else

cancel_target* make_target(PGconn* session) noexcept { return PQgetCancel(session); }
void free_target(cancel_target* target) noexcept { PQfreeCancel(target); }

// Returns when the server has closed the request's connection, or has never taken it.
bool send(cancel_target* request) noexcept {
    char why_not[256];
    PQcancel(request, why_not, sizeof(why_not));
    return true;
}

#endif

struct waiting_request {
    std::shared_ptr<cancel_target> target;
    std::weak_ptr<cancel_observer> told;
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();

    /// Its session has been given up for long, so that those behind it come first: a black hole must not hold up the
    /// requests to a server that is well.
    [[nodiscard]] bool is_stale() const noexcept { return std::chrono::steady_clock::now() > since + oldest; }
};

struct request_queue {
    std::mutex mutex;
    std::deque<waiting_request> waiting;
    std::size_t threads = 0;
};

void work(request_queue& queue) noexcept {
    std::unique_lock lock{queue.mutex};
    while (!queue.waiting.empty()) {
        {
            const auto next = std::move(queue.waiting.front());
            queue.waiting.pop_front();
            lock.unlock();
            const bool ended = !next.is_stale() && send(next.target.get());
            if (const auto told = next.told.lock()) {
                told->on_request_ended(ended);
            }
        }
        lock.lock();
    }
    --queue.threads;
}

/// Shared with the threads, which are detached and may outlive main(): a black hole must not hold up an exit. Null: there
/// was no memory for it.
std::shared_ptr<request_queue> requests() noexcept {
    try {
        static const auto one = std::make_shared<request_queue>();
        return one;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

}  // namespace

std::shared_ptr<cancel_target> cancel_target_of(PGconn* session) noexcept {
    try {
        return {make_target(session), free_target};  // which is called too if there is no memory for the rest
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

bool request_cancel(std::shared_ptr<cancel_target> target, std::weak_ptr<cancel_observer> told) noexcept {
    const auto queue = requests();
    if (!target || !queue) {
        return false;
    }
    const std::lock_guard lock{queue->mutex};
    if (queue->waiting.size() >= most_waiting) {
        return false;
    }
    try {
        queue->waiting.push_back({std::move(target), std::move(told)});
    } catch (...) {
        return false;
    }
    if (queue->threads == most_threads) {
        return true;
    }
    try {
        start_helper_thread("trunkline-stop", [shared = queue] { work(*shared); }).detach();
        ++queue->threads;
    } catch (...) {  // no thread: a running one takes it
        if (queue->threads == 0) {
            queue->waiting.pop_back();
            return false;
        }
    }
    return true;
}

}  // namespace trunkline::pg
