#include "canceller.hpp"

#include "helper_thread.hpp"

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <poll.h>
#include <utility>

namespace trunkline::pg {

namespace {

// Two, so that one server that is a black hole, for which PQcancel of libpq < 17 waits minutes, does not stop the
// others; more would be a flood of connections at a server that is in trouble.
constexpr std::size_t most_threads = 2;
// A request is some hundred bytes; whoever cancels more than this at once has lost the server.
constexpr std::size_t most_waiting = 1'000;

#ifdef LIBPQ_HAS_ASYNC_CANCEL

constexpr std::chrono::seconds deadline{2};

struct free_request {
    void operator()(PGcancelConn* request) const noexcept { PQcancelFinish(request); }
};
using request_handle = std::unique_ptr<PGcancelConn, free_request>;

request_handle make_request(PGconn* session) noexcept { return request_handle{PQcancelCreate(session)}; }

// Encrypted when the session is, and under a deadline. On this thread and not on the reactor, because the TLS handshake
// costs milliseconds.
void send(PGcancelConn* request) noexcept {
    const auto end = std::chrono::steady_clock::now() + deadline;
    if (PQcancelStart(request) == 0) {
        return;
    }
    auto state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_WRITING || state == PGRES_POLLING_READING) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd watched{PQcancelSocket(request), static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                       0};
        if (left.count() <= 0 || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) {
            return;
        }
        state = PQcancelPoll(request);
    }
}

#else

struct free_request {
    void operator()(PGcancel* request) const noexcept { PQfreeCancel(request); }
};
using request_handle = std::unique_ptr<PGcancel, free_request>;

request_handle make_request(PGconn* session) noexcept { return request_handle{PQgetCancel(session)}; }

void send(PGcancel* request) noexcept {
    char why_not[256];
    PQcancel(request, why_not, sizeof(why_not));
}

#endif

struct request_queue {
    std::mutex mutex;
    std::deque<request_handle> waiting;
    std::size_t threads = 0;
};

void work(request_queue& queue) noexcept {
    std::unique_lock lock{queue.mutex};
    while (!queue.waiting.empty()) {
        const request_handle next = std::move(queue.waiting.front());
        queue.waiting.pop_front();
        lock.unlock();
        send(next.get());
        lock.lock();
    }
    --queue.threads;
}

}  // namespace

void request_cancel(PGconn* session) noexcept {
    // Shared with the threads, which are detached and may outlive main(): a black hole must not hold up an exit.
    static const auto queue = std::make_shared<request_queue>();
    auto request = make_request(session);
    if (!request) {
        return;
    }
    try {
        const std::lock_guard lock{queue->mutex};
        if (queue->waiting.size() >= most_waiting) {
            return;
        }
        queue->waiting.push_back(std::move(request));
        if (queue->threads < most_threads) {
            start_helper_thread("trunkline-stop", [shared = queue] { work(*shared); }).detach();
            ++queue->threads;
        }
    } catch (...) {
        // No memory or no thread: the session is closed all the same, and another thread may still take the request.
    }
}

}  // namespace trunkline::pg
