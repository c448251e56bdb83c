#include "support/proxy_session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace trunkline::test {

namespace {

/// Whether close() resets the connection. A session in order has ended on both sides before, and then it does not.
void set_abortive(int socket, bool abortive) noexcept {
    const linger how{abortive ? 1 : 0, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &how, sizeof(how));
}

void prepare(int socket) noexcept {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // Also when this process dies: a peer that acknowledges nothing would keep the kernel's half for minutes.
    set_abortive(socket, true);
}

/// A target that refuses shows as a broken session.
int connect_to(std::uint16_t port) noexcept {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::connect(made, reinterpret_cast<const sockaddr*>(&at), sizeof(at));
    return made;
}

std::optional<proxy_flow::clock::time_point> earlier(std::optional<proxy_flow::clock::time_point> one,
                                                     std::optional<proxy_flow::clock::time_point> other) {
    if (!one || !other) {
        return one ? one : other;
    }
    return std::min(*one, *other);
}

}  // namespace

std::size_t proxy_flow::receive(int from, clock::time_point now) {
    if (!wants_input()) {
        return 0;
    }
    std::array<char, 16 * 1024> buffer;
    const auto got = ::recv(from, buffer.data(), buffer.size(), 0);
    if (got < 0) {
        broken_ = errno != EAGAIN && errno != EINTR;
        return 0;
    }
    input_ended_ = got == 0;
    if (output_ended_) {
        return 0;  // nobody listens there any more
    }
    chunks_.push_back({now, std::string(buffer.data(), static_cast<std::size_t>(got))});
    waiting_ += static_cast<std::size_t>(got);
    return static_cast<std::size_t>(got);
}

proxy_flow::outcome proxy_flow::send(int to, clock::time_point now) {
    no_room_ = false;
    if (faults.stopped) {
        return outcome::going;
    }
    for (;;) {
        if (faults.cut_at && passed_ >= *faults.cut_at) {
            return outcome::cut;
        }
        if (chunks_.empty() || std::max(chunks_.front().arrived + faults.delay, next_send_) > now) {
            return broken_ && chunks_.empty() ? outcome::broken : outcome::going;
        }
        const auto& first = chunks_.front();
        if (first.bytes.empty()) {
            end(to);
            return outcome::going;
        }
        const auto sent = ::send(to, first.bytes.data() + sent_of_first_, next_size(), MSG_NOSIGNAL);
        if (sent < 0) {
            no_room_ = errno == EAGAIN || errno == EINTR;
            return no_room_ ? outcome::going : outcome::broken;
        }
        drop(static_cast<std::size_t>(sent));
        pace(static_cast<std::size_t>(sent), now);
    }
}

std::size_t proxy_flow::next_size() const {
    auto size = chunks_.front().bytes.size() - sent_of_first_;
    if (faults.packet > 0) {
        size = std::min(size, faults.packet);
    }
    if (faults.bandwidth > 0) {
        size = std::min(size, std::max<std::size_t>(1, faults.bandwidth / 100));
    }
    if (faults.cut_at) {
        size = std::min(size, static_cast<std::size_t>(*faults.cut_at - passed_));
    }
    return size;
}

void proxy_flow::drop(std::size_t bytes) {
    passed_ += bytes;
    waiting_ -= bytes;
    sent_of_first_ += bytes;
    if (sent_of_first_ == chunks_.front().bytes.size()) {
        chunks_.pop_front();
        sent_of_first_ = 0;
    }
}

void proxy_flow::pace(std::size_t sent, clock::time_point now) {
    std::chrono::nanoseconds pause{faults.packet_gap};
    if (faults.bandwidth > 0) {
        pause += std::chrono::nanoseconds{sent * 1'000'000'000 / faults.bandwidth};
    }
    if (pause.count() > 0) {
        next_send_ = std::max(now, next_send_) + pause;
    }
}

void proxy_flow::end(int to) noexcept {
    ::shutdown(to, SHUT_WR);
    output_ended_ = true;
    chunks_.clear();
    waiting_ = 0;
}

std::optional<proxy_flow::clock::time_point> proxy_flow::due() const {
    if (faults.stopped || no_room_ || (chunks_.empty() && !broken_)) {
        return std::nullopt;
    }
    return chunks_.empty() ? next_send_ : std::max(chunks_.front().arrived + faults.delay, next_send_);
}

proxy_session::proxy_session(int client, std::uint16_t target, const line_faults& faults)
    : client_{client},
      server_{connect_to(target)} {
    prepare(client_.get());
    prepare(server_.get());
    set(faults);
}

void proxy_session::set(const line_faults& faults) {
    to_server_.faults = faults.to_server;
    to_client_.faults = faults.to_client;
}

void proxy_session::pump(clock::time_point now) {
    const std::array passed{std::pair{to_server_.send(server_.get(), now), to_server_.faults.cut_by},
                            std::pair{to_client_.send(client_.get(), now), to_client_.faults.cut_by}};
    for (const auto& [outcome, cut_by] : passed) {
        switch (outcome) {
        case proxy_flow::outcome::going: break;
        case proxy_flow::outcome::cut: end(cut_by); return;
        case proxy_flow::outcome::broken: end(proxy_end::reset); return;
        }
    }
    if (to_server_.ended() && to_client_.ended() && !to_server_.wants_input() && !to_client_.wants_input()) {
        end(proxy_end::close);
    }
}

void proxy_session::receive(clock::time_point now, bool client_ready, bool server_ready) {
    if (client_ready) {
        const auto got = to_server_.receive(client_.get(), now);
        from_client_ += got;
        if (got > 0 && !std::exchange(client_spoke_last_, true)) {
            ++bursts_;
        }
    }
    if (server_ready && to_client_.receive(server_.get(), now) > 0) {
        client_spoke_last_ = false;
        if (!ready_) {
            look_for_ready(to_client_.latest());
        }
    }
}

/// A handshake has ended before the client can know of it, so that the one after it is never counted beside it.
void proxy_session::look_for_ready(std::string_view said) {
    constexpr std::string_view ready_for_query{"Z\0\0\0\5I", 6};
    unready_ += said;
    ready_ = unready_.find(ready_for_query) != std::string::npos;
    unready_.erase(0, unready_.size() - std::min(unready_.size(), ready_for_query.size() - 1));
}

void proxy_session::half_close(proxy_direction direction) noexcept {
    if (direction == proxy_direction::to_server) {
        to_server_.end(server_.get());
    } else {
        to_client_.end(client_.get());
    }
}

void proxy_session::end(proxy_end how) noexcept {
    set_abortive(client_.get(), how == proxy_end::reset);
    set_abortive(server_.get(), how == proxy_end::reset);
    client_.close();
    server_.close();
}

short proxy_session::client_events() const noexcept {
    return static_cast<short>((to_server_.wants_input() ? POLLIN : 0) | (to_client_.wants_room() ? POLLOUT : 0));
}

short proxy_session::server_events() const noexcept {
    return static_cast<short>((to_client_.wants_input() ? POLLIN : 0) | (to_server_.wants_room() ? POLLOUT : 0));
}

std::optional<proxy_session::clock::time_point> proxy_session::due() const {
    return earlier(to_server_.due(), to_client_.due());
}

}  // namespace trunkline::test
