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

struct free_request {
    void operator()(PGcancelConn* request) const noexcept { PQcancelFinish(request); }
};
using request_handle = std::unique_ptr<PGcancelConn, free_request>;

request_handle make_request(PGconn* session) noexcept { return request_handle{PQcancelCreate(session)}; }

// Encrypted when the session is, and under a deadline. On this thread and not on the reactor, because the TLS handshake
// costs milliseconds. False: nobody knows whether the server has taken it.
bool send(PGcancelConn* request) noexcept {
    const auto end = std::chrono::steady_clock::now() + deadline;
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

struct free_request {
    void operator()(PGcancel* request) const noexcept { PQfreeCancel(request); }
};
using request_handle = std::unique_ptr<PGcancel, free_request>;

request_handle make_request(PGconn* session) noexcept { return request_handle{PQgetCancel(session)}; }

// Returns when the server has closed the request's connection, or has never taken it.
bool send(PGcancel* request) noexcept {
    char why_not[256];
    PQcancel(request, why_not, sizeof(why_not));
    return true;
}

#endif

struct waiting_request {
    request_handle request;
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
            const bool ended = !next.is_stale() && send(next.request.get());
            if (const auto told = next.told.lock(); told && ended) {
                told->on_request_ended();
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

bool request_cancel(PGconn* session, std::weak_ptr<cancel_observer> told) noexcept {
    auto request = make_request(session);
    const auto queue = requests();
    if (!request || !queue) {
        return false;
    }
    const std::lock_guard lock{queue->mutex};
    if (queue->waiting.size() >= most_waiting) {
        return false;
    }
    try {
        queue->waiting.push_back({std::move(request), std::move(told)});
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
