#pragma once

#include "pg/session.hpp"
#include "resumption/suspension.hpp"

#include <boost/asio/cancellation_type.hpp>

#include <memory>
#include <new>

namespace trunkline::detail {

/// An operation under way, and the coroutine that awaits it.
template <typename Operation>
struct awaited_operation : Operation {
    template <typename... Args>
    explicit awaited_operation(Args&&... args) noexcept : Operation{static_cast<Args&&>(args)...} {
        this->complete = [](pg::operation& self) { static_cast<awaited_operation&>(self).sleeper.dispatch(); };
        this->drop = [](pg::operation& self) noexcept { static_cast<awaited_operation&>(self).sleeper.drop(); };
    }

    /// Starts it; `sleeper` resumes when it has ended.
    void start_on(std::shared_ptr<pg::session> session) noexcept {
        begin([this, session] { session->cancel(*this); }, [&] { session->start(*this); });
    }
    /// The same for a notification. A session that is given up meanwhile ends at once, so nothing here keeps it.
    void hear_on(const std::shared_ptr<pg::session>& session) noexcept {
        const auto cancel = [this, given = std::weak_ptr<pg::session>{session}] {
            if (const auto lives = given.lock()) {
                lives->cancel(*this);
            }
        };
        begin(cancel, [&] { session->hear(*this); });
    }

    suspension sleeper;

private:
    template <typename Cancel, typename Start>
    void begin(Cancel cancel, Start start) noexcept {
        if (on_cancellation(cancel)) {
            start();
        } else {
            this->code = make_error_code(boost::system::errc::not_enough_memory);
            sleeper.try_post();
        }
    }

protected:
    /// False: there was no memory for it.
    template <typename Cancel>
    bool on_cancellation(Cancel cancel) noexcept {
        try {
            if (auto slot = sleeper.slot(); slot.is_connected()) {
                slot.assign([cancel](boost::asio::cancellation_type) { cancel(); });
            }
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }
};

/// A statement under way, in the frame of the coroutine that awaits it. That frame must stay under 1,020 bytes, or Asio
/// takes each from malloc instead of its own recycler.
using running_statement = awaited_operation<pg::operation>;

}  // namespace trunkline::detail
