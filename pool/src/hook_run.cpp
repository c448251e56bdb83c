#include "hook_run.hpp"

#include "pooled_connection.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <new>
#include <utility>

namespace trunkline::detail {

namespace {

namespace asio = boost::asio;

asio::awaitable<hook_outcome> call(const connection_hook& hook, connection& c) { co_return co_await hook(c); }

std::string words_of(const std::exception_ptr& thrown) noexcept {
    try {
        try {
            if (thrown) {
                std::rethrow_exception(thrown);
            }
        } catch (const std::exception& e) {
            return e.what();
        } catch (...) {
            return "something that is no std::exception";
        }
    } catch (const std::bad_alloc&) {
        return "out of memory";  // so short that it needs none
    }
    return {};
}

/// Tells the owner exactly once, how the hook ended or that it never will.
class teller {
public:
    teller(std::shared_ptr<hook_run> run, pooled_connection& c, std::shared_ptr<hook_run::owner> told) noexcept
        : run_{std::move(run)},
          connection_{&c},
          told_{std::move(told)} {}
    teller(teller&&) noexcept = default;
    teller& operator=(teller&&) = delete;
    ~teller() {
        if (told_) {
            told_->on_hook_dropped(*connection_);
        }
    }

    void operator()(std::exception_ptr thrown, hook_outcome how) {
        const auto whom = std::move(told_);
        whom->on_hook_done(*connection_, thrown ? hook_outcome::discard : how, words_of(thrown));
    }

private:
    std::shared_ptr<hook_run> run_;
    pooled_connection* connection_;
    std::shared_ptr<hook_run::owner> told_;
};

}  // namespace

void hook_run::start(const connection_hook& hook, pooled_connection& c, std::shared_ptr<owner> told) noexcept {
    auto begin = [self = shared_from_this(), &hook, end = teller{shared_from_this(), c, std::move(told)},
                  &c]() mutable {
        if (self->stopped_) {
            return;  // and `end` tells that
        }
        try {
            asio::co_spawn(self->strand_, call(hook, c),
                           asio::bind_cancellation_slot(self->stop_.slot(), std::move(end)));
        } catch (const std::bad_alloc&) {
            // `end` is gone or goes with this handler, and tells that.
        }
    };
    try {
        asio::post(strand_, std::move(begin));
    } catch (const std::bad_alloc&) {
        // The same.
    }
}

void hook_run::cancel() {
    asio::post(strand_, [self = shared_from_this()] {
        self->stopped_ = true;
        self->stop_.emit(asio::cancellation_type::terminal);
    });
}

}  // namespace trunkline::detail
