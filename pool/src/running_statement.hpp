#pragma once

#include "pg/session.hpp"
#include "resumption/suspension.hpp"

#include <boost/asio/cancellation_type.hpp>

#include <memory>
#include <new>

namespace trunkline::detail {

/// A statement under way, in the frame of the coroutine that awaits it. That frame must stay under 1,020 bytes, or Asio
/// takes each from malloc instead of its own recycler.
struct running_statement : pg::operation {
    running_statement() noexcept {
        complete = [](pg::operation& self) { static_cast<running_statement&>(self).sleeper.dispatch(); };
        drop = [](pg::operation& self) noexcept { static_cast<running_statement&>(self).sleeper.drop(); };
    }

    /// Starts it; `sleeper` resumes when it has ended.
    void start_on(std::shared_ptr<pg::session> session) noexcept {
        if (cancel_by_slot(session)) {
            session->start(*this);
        }
    }

    suspension sleeper;

private:
    /// False: there was no memory for it, and the statement ends with that.
    bool cancel_by_slot(const std::shared_ptr<pg::session>& session) noexcept {
        try {
            if (auto slot = sleeper.slot(); slot.is_connected()) {
                slot.assign([this, session](boost::asio::cancellation_type) { session->cancel(*this); });
            }
            return true;
        } catch (const std::bad_alloc&) {
            code = make_error_code(boost::system::errc::not_enough_memory);
            sleeper.try_post();
            return false;
        }
    }
};

}  // namespace trunkline::detail
