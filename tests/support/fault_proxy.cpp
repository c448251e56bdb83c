#include "support/fault_proxy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace trunkline::test {

namespace {

bool is_ready(const pollfd& watched) { return watched.fd >= 0 && watched.revents != 0; }

/// poll() tells of failures even where nothing is asked: a side that is not asked about is left out.
pollfd watch(int socket, short events) { return {events == 0 ? -1 : socket, events, 0}; }

timespec until(proxy_flow::clock::time_point due) {
    const auto left = std::max(std::chrono::nanoseconds{0}, due - proxy_flow::clock::now());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
}

/// Of every session: else the kernel takes up to net.ipv4.tcp_rmem's most, tens of MiB on some machines, for a line that
/// is stopped.
void limit_receive_buffer(const tcp_port& of) {
    constexpr int bytes = 64 << 10;
    if (::setsockopt(of.listener(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0) {
        throw std::system_error{errno, std::generic_category(), "setsockopt SO_RCVBUF"};
    }
}

}  // namespace

fault_proxy::fault_proxy(tcp_port listener, std::uint16_t target)
    : listener_{std::move(listener)},
      port_{listener_.number()},
      target_{target},
      wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (wake_.get() < 0) {
        throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
    limit_receive_buffer(listener_);
    thread_ = std::thread{[this] { serve(); }};
}

fault_proxy::~fault_proxy() {
    {
        const std::scoped_lock lock{mutex_};
        stopping_ = true;
    }
    wake();
    thread_.join();
}

std::string fault_proxy::url(const postgres_server& server, std::string_view query) const {
    auto url = server.url();
    const auto before = "@127.0.0.1:" + std::to_string(server.port()) + "/";
    const auto after = "@127.0.0.1:" + std::to_string(port_) + "/";
    url.replace(url.find(before), before.size(), after);
    return query.empty() ? url : url + "?" + std::string{query};
}

void fault_proxy::set(const line_faults& faults, sessions_of_proxy which) {
    call([&] {
        if (which == sessions_of_proxy::next) {
            next_faults_.push_back(faults);
            return;
        }
        if (which != sessions_of_proxy::open) {
            faults_ = faults;
        }
        if (which != sessions_of_proxy::come) {
            for (auto& session : sessions_) {
                session.set(faults);
            }
        }
    });
}

void fault_proxy::heal() {
    call([&] {
        faults_ = {};
        next_faults_.clear();
        for (auto& session : sessions_) {
            session.set({});
        }
        apply_door(proxy_door::open);
    });
}

void fault_proxy::set_door(proxy_door door) {
    call([&] { apply_door(door); });
}

void fault_proxy::end_all(proxy_end how) {
    call([&] {
        for (auto& session : sessions_) {
            session.end(how);
        }
    });
}

void fault_proxy::half_close(proxy_direction direction) {
    call([&] {
        for (auto& session : sessions_) {
            session.half_close(direction);
        }
    });
}

proxy_counts fault_proxy::counts() const {
    proxy_counts all;
    call([&] {
        all = ended_;
        all.open = sessions_.size();
        for (const auto& session : sessions_) {
            all += session.counts();
        }
    });
    return all;
}

std::vector<proxy_flow::clock::time_point> fault_proxy::accepts() const {
    std::vector<proxy_flow::clock::time_point> all;
    call([&] { all = accepts_; });
    return all;
}

/// Runs a task in the proxy's thread, between two rounds of it, and returns when it has run.
void fault_proxy::call(const std::function<void()>& task) const {
    std::mutex mutex;
    std::condition_variable told;
    bool done = false;
    std::exception_ptr thrown;
    const auto run = [&] {
        try {
            task();
        } catch (...) {
            thrown = std::current_exception();
        }
        const std::scoped_lock lock{mutex};
        done = true;
        told.notify_one();  // under the lock: the caller destroys both as soon as it sees `done`
    };
    {
        const std::scoped_lock lock{mutex_};
        tasks_.emplace_back(run);
    }
    wake();
    std::unique_lock lock{mutex};
    told.wait(lock, [&] { return done; });
    if (thrown) {
        std::rethrow_exception(thrown);
    }
}

void fault_proxy::wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof(one));
}

void fault_proxy::serve() {
    while (run_tasks()) {
        pump();
        wait_for_something();
    }
    for (auto& session : sessions_) {
        session.end(proxy_end::reset);
    }
}

bool fault_proxy::run_tasks() {
    std::vector<std::function<void()>> tasks;
    {
        const std::scoped_lock lock{mutex_};
        if (stopping_) {
            return false;
        }
        tasks.swap(tasks_);
    }
    for (const auto& task : tasks) {
        task();
        forget_ended();
    }
    return true;
}

void fault_proxy::apply_door(proxy_door door) {
    door_ = door;
    if (door == proxy_door::refused) {
        listener_.refuse();
    } else {
        listener_.listen();
        limit_receive_buffer(listener_);
    }
}

void fault_proxy::accept_all() {
    int client = -1;
    while ((client = ::accept4(listener_.listener(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        ++ended_.accepted;
        accepts_.push_back(proxy_flow::clock::now());
        if (door_ == proxy_door::open) {
            sessions_.emplace_back(client, target_, next_faults_.empty() ? faults_ : next_faults_.front());
            if (!next_faults_.empty()) {
                next_faults_.pop_front();
            }
            ended_.most_open = std::max(ended_.most_open, sessions_.size());
            const auto unready = std::count_if(sessions_.begin(), sessions_.end(),
                                               [](const proxy_session& each) { return each.in_handshake(); });
            ended_.most_handshakes = std::max(ended_.most_handshakes, static_cast<std::size_t>(unready));
            continue;
        }
        const linger abortive{door_ == proxy_door::reset ? 1 : 0, 0};
        ::setsockopt(client, SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
        ::close(client);
    }
}

void fault_proxy::pump() {
    const auto now = proxy_flow::clock::now();
    for (auto& session : sessions_) {
        session.pump(now);
    }
    forget_ended();
}

void fault_proxy::forget_ended() {
    std::erase_if(sessions_, [&](const proxy_session& session) {
        if (session.open()) {
            return false;
        }
        ended_ += session.counts();
        return true;
    });
}

void fault_proxy::wait_for_something() {
    std::vector<pollfd> watched{watch(wake_.get(), POLLIN), watch(listener_.listener(), POLLIN)};
    std::optional<proxy_flow::clock::time_point> due;
    for (const auto& session : sessions_) {
        watched.push_back(watch(session.client(), session.client_events()));
        watched.push_back(watch(session.server(), session.server_events()));
        if (const auto next = session.due()) {
            due = due ? std::min(*due, *next) : *next;
        }
    }
    const timespec time_out = due ? until(*due) : timespec{};
    if (::ppoll(watched.data(), watched.size(), due ? &time_out : nullptr, nullptr) <= 0) {
        return;
    }
    if (is_ready(watched[0])) {
        std::uint64_t ignored = 0;
        [[maybe_unused]] const auto got = ::read(wake_.get(), &ignored, sizeof(ignored));
    }
    const auto now = proxy_flow::clock::now();
    std::size_t at = 2;
    for (auto& session : sessions_) {
        session.receive(now, is_ready(watched[at]), is_ready(watched[at + 1]));
        at += 2;
    }
    if (is_ready(watched[1])) {
        accept_all();
    }
}

}  // namespace trunkline::test
