#include "epoll_loop.hpp"

#include <libpq-fe.h>

#include <array>
#include <cerrno>
#include <deque>
#include <endian.h>
#include <memory>
#include <stdexcept>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace trunkline::bench {

namespace {

struct finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
struct clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};

constexpr Oid int8_oid = 20;

class epoll_loop {
public:
    epoll_loop(const std::string& url, cell of, round_time time);
    ~epoll_loop() { ::close(epoll_); }
    epoll_loop(const epoll_loop&) = delete;
    epoll_loop& operator=(const epoll_loop&) = delete;

    query_figures run();

private:
    struct line {
        std::unique_ptr<PGconn, finish> connection;
        bench_clock::time_point asked;  ///< of the operation that it carries out
        bench_clock::time_point served;
        bool flushing = false;  ///< part of the query is still to be sent
    };

    void watch(line& on, int operation, std::uint32_t events) const;
    void serve_next(line& on);
    void flush(line& on);
    void on_event(line& on);
    bool take_result(line& on);
    [[noreturn]] static void fail(const line& on) { throw std::runtime_error{PQerrorMessage(on.connection.get())}; }

    closed_loop loop_;
    int epoll_;
    std::size_t busy_ = 0;
    std::vector<line> lines_;
    std::deque<bench_clock::time_point> waiting_;  // a client is no more than the moment when he asked
};

epoll_loop::epoll_loop(const std::string& url, cell of, round_time time)
    : loop_{time},
      epoll_{::epoll_create1(EPOLL_CLOEXEC)},
      lines_(of.connections) {
    for (auto& on : lines_) {
        on.connection.reset(PQconnectdb(url.c_str()));
        if (PQstatus(on.connection.get()) != CONNECTION_OK || PQsetnonblocking(on.connection.get(), 1) != 0) {
            fail(on);
        }
        watch(on, EPOLL_CTL_ADD, EPOLLIN);
    }
    waiting_.assign(of.clients, bench_clock::now());
}

void epoll_loop::watch(line& on, int operation, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &on;
    if (::epoll_ctl(epoll_, operation, PQsocket(on.connection.get()), &event) != 0) {
        throw std::system_error{errno, std::generic_category(), "epoll_ctl"};
    }
}

void epoll_loop::serve_next(line& on) {
    if (waiting_.empty()) {
        return;
    }
    on.asked = waiting_.front();
    waiting_.pop_front();
    on.served = bench_clock::now();
    ++busy_;
    const std::uint64_t item = htobe64(static_cast<std::uint64_t>(loop_.next_item()));
    const char* value = reinterpret_cast<const char*>(&item);
    const int length = sizeof(item);
    const int binary = 1;
    if (PQsendQueryParams(on.connection.get(), item_query, 1, &int8_oid, &value, &length, &binary, 1) != 1) {
        fail(on);
    }
    flush(on);
}

void epoll_loop::flush(line& on) {
    const int rest = PQflush(on.connection.get());
    if (rest < 0) {
        fail(on);
    }
    if ((rest > 0) != on.flushing) {
        on.flushing = rest > 0;
        watch(on, EPOLL_CTL_MOD, on.flushing ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void epoll_loop::on_event(line& on) {
    if (PQconsumeInput(on.connection.get()) != 1) {
        fail(on);
    }
    if (on.flushing) {
        flush(on);
    }
    if (!take_result(on)) {
        return;
    }
    const auto now = bench_clock::now();
    --busy_;
    if (loop_.on_done(on.asked, on.served, now)) {
        waiting_.push_back(now);
        serve_next(on);
    }
}

bool epoll_loop::take_result(line& on) {
    while (PQisBusy(on.connection.get()) == 0) {
        const std::unique_ptr<PGresult, clear> result{PQgetResult(on.connection.get())};
        if (result == nullptr) {
            return true;
        }
        if (PQresultStatus(result.get()) != PGRES_TUPLES_OK ||
            PQgetlength(result.get(), 0, 0) != static_cast<int>(item_bytes)) {
            fail(on);
        }
    }
    return false;
}

query_figures epoll_loop::run() {
    loop_.begin();
    for (auto& on : lines_) {
        serve_next(on);
    }
    std::array<epoll_event, 128> events{};
    while (busy_ > 0) {
        const int ready = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            on_event(*static_cast<line*>(events[static_cast<std::size_t>(i)].data.ptr));
        }
    }
    return loop_.figures();
}

}  // namespace

query_figures run_epoll_loop(const std::string& url, cell of, round_time time) {
    return epoll_loop{url, of, time}.run();
}

}  // namespace trunkline::bench
