#include "support/scripted_server_loop.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <future>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace trunkline::test {

namespace {

int checked(int result, const char* what) {
    if (result < 0) {
        throw std::system_error{errno, std::generic_category(), what};
    }
    return result;
}

owned_descriptor bound_socket(std::uint16_t port) {
    owned_descriptor made{checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    const int on = 1;
    checked(::setsockopt(made.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), "SO_REUSEPORT");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "bind");
    return made;
}

std::uint16_t port_of(const owned_descriptor& socket) {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    checked(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

answer usual_answer(const received_statement& to) {
    return to.text.starts_with("SELECT") || to.text.starts_with("select") ? one_row(1) : done();
}

}  // namespace

owned_descriptor::~owned_descriptor() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

scripted_server::loop::loop()
    : answers{usual_answer},
      keeper_{bound_socket(0)},
      wake_{checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")} {
    port_ = port_of(keeper_);
    listen();
    thread_ = std::thread{[this] { work(); }};
}

scripted_server::loop::~loop() {
    run([this] {
        for_each(std::nullopt, [this](peer& one) { end(one, afterwards::reset); });
        stopping_ = true;
    });
    thread_.join();
}

void scripted_server::loop::run(std::function<void()> deed) {
    std::promise<void> done;
    auto is_done = done.get_future();
    {
        const std::lock_guard lock{deeds_mutex_};
        deeds_.emplace_back([&] {
            try {
                deed();
                done.set_value();
            } catch (...) {
                done.set_exception(std::current_exception());
            }
        });
    }
    ::eventfd_write(wake_.get(), 1);
    is_done.get();
}

void scripted_server::loop::listen() {
    if (listener_.get() < 0) {
        auto opened = bound_socket(port_);
        checked(::listen(opened.get(), SOMAXCONN), "listen");
        listener_ = std::move(opened);
    }
}

void scripted_server::loop::work() {
    while (!stopping_) {
        wait_and_serve();
        std::erase_if(peers_, [](const peer& one) { return one.gone; });
        {
            const std::lock_guard lock{mutex};
            ++happenings;
        }
        something_happened.notify_all();
    }
}

void scripted_server::loop::wait_and_serve() {
    const auto now = clock::now();
    std::vector<pollfd> watched{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (auto& one : peers_) {
        watched.push_back({one.socket.get(), static_cast<short>(is_blocked(one, now) ? POLLIN | POLLOUT : POLLIN), 0});
    }
    if (::poll(watched.data(), watched.size(), poll_timeout(now)) < 0) {
        return;  // interrupted
    }
    // The connections first, for those that a deed or an accept adds are not in the list.
    for (std::size_t i = 0; i + 2 < watched.size(); ++i) {
        if ((watched[i + 2].revents & ~POLLOUT) != 0) {
            read_from(peers_[i]);
        }
    }
    if (watched[1].revents != 0) {
        accept_all();
    }
    std::deque<std::function<void()>> deeds;
    if (watched[0].revents != 0) {
        eventfd_t ignored = 0;
        ::eventfd_read(wake_.get(), &ignored);
        const std::lock_guard lock{deeds_mutex_};
        deeds.swap(deeds_);
    }
    for (const auto& deed : deeds) {
        deed();
    }
    for (auto& one : peers_) {
        flush(one);
    }
}

bool scripted_server::loop::is_blocked(peer& one, clock::time_point now) const {
    return !one.mute && one.due && *one.due <= now && !(held && one.session.output().front().is_answer);
}

int scripted_server::loop::poll_timeout(clock::time_point now) const {
    using std::chrono::milliseconds;
    auto wait = milliseconds::max();
    for (const auto& one : peers_) {
        if (one.due && !one.mute && *one.due > now) {
            wait = std::min(wait, std::chrono::ceil<milliseconds>(*one.due - now));
        }
    }
    // What is due already waits for POLLOUT or for `release_answers`, not for the time.
    return wait == milliseconds::max() ? -1 : static_cast<int>(wait.count());
}

void scripted_server::loop::accept_all() {
    for (;;) {
        owned_descriptor taken{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (taken.get() < 0) {
            return;
        }
        const int on = 1;
        ::setsockopt(taken.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        const auto now = clock::now();
        const auto pid = next_pid_++;
        scripted_session session{[this](const received_statement& what) { return answers(what); }, {pid, pid * 7 + 3}};
        peers_.push_back({std::move(taken), now, std::move(session)});
        const std::lock_guard lock{mutex};
        ++seen.accepted;
        ++seen.connections;
        accepts.push_back(now);
    }
}

greeting scripted_server::loop::choose_greeting(std::size_t number) {
    if (next.empty()) {
        return greets(number);
    }
    auto first = std::move(next.front());
    next.pop_front();
    return first;
}

void scripted_server::loop::read_from(peer& one) {
    std::array<char, 65'536> buffer{};
    const auto got = ::recv(one.socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        end(one, afterwards::close);
        return;
    }
    try {
        learn(one, one.session.receive({buffer.data(), static_cast<std::size_t>(got)}));
    } catch (const std::runtime_error& failure) {
        one.session.output().push_back(
            {.bytes = wire::error_response({"FATAL", "08P01", failure.what()}), .then = afterwards::close});
    }
}

void scripted_server::loop::learn(peer& from, scripted_session::news about) {
    std::unique_lock lock{mutex};
    if (about.login) {
        from.number = sessions.size();
        auto& made = sessions.emplace_back();
        made.login = std::move(*about.login);
        made.key = from.session.own_key();
        made.accepted = from.accepted;
        ++seen.sessions;
        seen.most_open = std::max(seen.most_open, ++seen.open);
        seen.most_handshakes = std::max(seen.most_handshakes, ++seen.handshakes);
    }
    for (auto& what : about.statements) {
        ++seen.statements;
        sessions[*from.number].statements.push_back(std::move(what));
    }
    if (about.goodbye) {
        sessions[*from.number].goodbye = true;
    }
    if (about.cancel) {
        ++seen.cancels;
        cancels.push_back({*about.cancel, clock::now()});
    }
    lock.unlock();
    if (about.login) {
        from.session.greet(*from.number, choose_greeting(*from.number));
    }
    if (about.cancel) {
        cancel(*about.cancel);
    }
}

void scripted_server::loop::cancel(const scripted_session::cancel_request& wanted) {
    for_each(std::nullopt, [&](peer& one) {
        auto& output = one.session.output();
        if (one.session.own_key() == wanted && !output.empty()) {
            output.front().until_cancelled = false;
        }
    });
}

void scripted_server::loop::flush(peer& to) {
    auto& output = to.session.output();
    if (to.mute) {
        output.clear();
        to.due.reset();
    }
    while (!to.gone && !to.mute && !output.empty()) {
        const auto& first = output.front();
        if (first.until_cancelled || (held && first.is_answer)) {
            return;
        }
        if (!to.due) {
            to.due = clock::now() + first.delay;
        }
        if (*to.due > clock::now()) {
            return;
        }
        if (first.is_handshake) {
            note_ready(to);  // before the client can know
        }
        if (!send_first(to)) {
            return;
        }
        to.due.reset();
        const auto then = first.then;
        output.pop_front();
        if (then != afterwards::serve) {
            end(to, then);
        }
    }
}

bool scripted_server::loop::send_first(peer& to) {
    auto& bytes = to.session.output().front().bytes;
    while (!bytes.empty()) {
        const auto sent = ::send(to.socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            return false;
        }
        if (sent < 0) {
            end(to, afterwards::close);
            return false;
        }
        bytes.erase(0, static_cast<std::size_t>(sent));
        to.session.on_sent();
    }
    return true;
}

void scripted_server::loop::push(peer& to, const std::string& bytes) {
    const bool mute = std::exchange(to.mute, false);
    to.session.output().push_front({.bytes = bytes});
    to.due.reset();
    flush(to);
    to.mute = mute || to.mute;
}

void scripted_server::loop::note_ready(peer& of) {
    if (std::exchange(of.ready, true)) {
        return;
    }
    const std::lock_guard lock{mutex};
    ++seen.ready;
    --seen.handshakes;
    sessions[*of.number].ready = true;
}

void scripted_server::loop::end(peer& which, afterwards how) {
    if (how == afterwards::serve || which.gone) {
        return;
    }
    if (how == afterwards::hang) {
        which.mute = true;
        return;
    }
    if (how == afterwards::reset) {
        const linger at_once{1, 0};
        ::setsockopt(which.socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    which.gone = true;
    note_end(which);
    which.socket = owned_descriptor{};
}

void scripted_server::loop::note_end(peer& of) {
    const std::lock_guard lock{mutex};
    --seen.connections;
    if (!of.number) {
        return;
    }
    sessions[*of.number].open = false;
    --seen.open;
    if (!of.ready) {
        --seen.handshakes;
    }
}

}  // namespace trunkline::test
