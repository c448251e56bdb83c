#include "acquire.hpp"
#include "pool_impl.hpp"

#include <trunkline/listener.hpp>
#include <trunkline/pool.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace trunkline {

namespace asio = boost::asio;

namespace {

/// As it is, whatever is in it. Throws `error`: the server would cut a longer name, and hear of another channel then.
std::string quoted(std::string_view channel) {
    constexpr std::size_t longest = 63;  // NAMEDATALEN - 1
    if (channel.empty() || channel.size() > longest) {
        throw error{pool_errc::invalid_value,
                    "the name of a channel has 1 to 63 bytes; this one has " + std::to_string(channel.size())};
    }
    std::string name{'"'};
    for (const char c : channel) {
        name += c;
        if (c == '"') {
            name += c;
        }
    }
    return name + '"';
}

/// How a call ends; no code if it goes well.
template <typename Value>
asio::awaitable<error_code> outcome_of(asio::awaitable<Value> call, Value& into) {
    error_code how;
    try {
        into = co_await std::move(call);
    } catch (const boost::system::system_error& failed) {
        how = failed.code();
    }
    co_return how;
}

asio::awaitable<void> wait(std::chrono::milliseconds time) {
    asio::steady_timer timer{co_await asio::this_coro::executor};
    timer.expires_after(time);
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

listener::listener(pool& from, listener_options options) : from_{from.impl_}, options_{options} {
    if (options.check_every.count() < 0 || options.pause.count() <= 0) {
        throw error{pool_errc::invalid_value, "a listener's check_every is 0 or more, and its pause more than 0"};
    }
}

listener::listener(listener&&) noexcept = default;
listener& listener::operator=(listener&&) noexcept = default;
listener::~listener() = default;

connection& listener::on() const noexcept { return own_ ? *own_ : *lease_; }

int listener::backend_pid() const noexcept { return is_connected() ? on().backend_pid() : 0; }

void listener::close() noexcept {
    from_.reset();
    channels_.clear();
    drop();
}

void listener::drop() noexcept {
    if (lease_) {
        lease_.discard();  // not returned: what it listens to is nobody else's
    }
    own_ = {};
}

/// Acquires a connection and subscribes to what there is.
asio::awaitable<void> listener::connect() {
    const auto from = from_.lock();
    if (from == nullptr) {
        throw error{pool_errc::closed, diagnostics{}};
    }
    auto borrowed = co_await detail::acquire_from(from, {}, source_location::current());
    missed_ = !channels_.empty();
    for (const auto& channel : channels_) {
        const auto sql = "LISTEN " + quoted(channel);
        co_await borrowed->query(sql);
    }
    if (options_.on == listener_connection::own) {
        own_ = borrowed.detach();
    } else {
        lease_ = std::move(borrowed);
    }
    connected_at_ = std::chrono::steady_clock::now();
}

/// As often as it takes, with a pause before each time that follows soon upon another.
asio::awaitable<void> listener::connect_again() {
    constexpr int longest = 32;
    for (int times = 1;; times = std::min(2 * times, longest)) {
        if (times > 1 || std::chrono::steady_clock::now() < connected_at_ + longest * options_.pause) {
            co_await wait(times * options_.pause);
        }
        std::exception_ptr final;
        try {
            co_await connect();
            co_return;
        } catch (const boost::system::system_error& failed) {
            if (failed.code() == pool_errc::closed || failed.code() == asio::error::operation_aborted) {
                final = std::current_exception();
            }
        }
        if (final != nullptr) {
            std::rethrow_exception(final);
        }
    }
}

/// Where it is not known what the server has made of it, the connection is given up, and the next one is told anew.
asio::awaitable<void> listener::tell_server(std::string sql) {
    std::exception_ptr failure;
    bool refused = false;
    try {
        co_await on().query(sql);
    } catch (const boost::system::system_error& failed) {
        failure = std::current_exception();
        refused = failed.code().category() == sqlstate_category() && failed.code() != errc::connection_lost;
    }
    if (failure != nullptr) {
        if (!refused) {
            drop();
        }
        std::rethrow_exception(failure);
    }
}

asio::awaitable<void> listener::listen(std::string channel) {
    const auto sql = "LISTEN " + quoted(channel);
    if (from_.expired()) {
        throw error{pool_errc::closed, diagnostics{}};
    }
    if (std::ranges::find(channels_, channel) != channels_.end()) {
        co_return;
    }
    const bool is_old = is_connected();
    if (!is_old) {
        co_await connect();
    }
    error_code lost;
    try {
        co_await tell_server(sql);
    } catch (const error& failed) {
        if (!is_old || failed.code() != errc::connection_lost) {
            throw;
        }
        lost = failed.code();
    }
    if (lost) {  // before this call, maybe long ago
        co_await connect();
        co_await tell_server(sql);
    }
    channels_.push_back(channel);
}

asio::awaitable<void> listener::unlisten(std::string channel) {
    const auto sql = "UNLISTEN " + quoted(channel);
    if (std::erase(channels_, channel) > 0 && is_connected()) {
        co_await tell_server(sql);
    }
}

/// Whether the server still answers. Throws when it is cancelled.
asio::awaitable<bool> listener::is_alive() {
    result nothing;
    const auto how = co_await outcome_of(on().query({.timeout = options_.check_every}, ""), nothing);
    if (how == asio::error::operation_aborted) {
        throw error{how, diagnostics{}};
    }
    co_return !how;
}

asio::awaitable<listener_event> listener::next() {
    listener_event event;
    for (;;) {
        if (channels_.empty()) {
            throw error{from_.expired() ? pool_errc::closed : pool_errc::invalid_value,
                        "no channel is listened to: call listen() first"};
        }
        if (!is_connected()) {
            co_await connect_again();
        }
        if (std::exchange(missed_, false)) {
            event.may_have_missed = true;
            co_return event;
        }
        const notified_options options{options_.check_every};
        const auto how = co_await outcome_of(on().notified(options), event.what);
        if (!how) {
            co_return event;
        }
        if (how == asio::error::operation_aborted) {
            throw error{how, diagnostics{}};
        }
        missed_ = how == pool_errc::notifications_missed;
        bool alive = missed_;
        if (how == pool_errc::query_timeout) {
            alive = co_await is_alive();
        }
        if (!alive) {
            drop();
        }
    }
}

}  // namespace trunkline
