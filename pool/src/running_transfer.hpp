#pragma once

#include "pg/transfer.hpp"
#include "running_statement.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string>

namespace trunkline::detail {

/// A stream or a COPY under way, with what it was begun with.
class running_transfer final : public awaited_operation<pg::transfer> {
public:
    running_transfer(transfer_sort what, std::string text, parameters with, std::chrono::milliseconds limit) noexcept
        : awaited_operation{what},
          text_{std::move(text)},
          with_{std::move(with)} {
        sql = text_;
        values = &with_;
        timeout = limit;
    }

    ~running_transfer() { let_go(); }  // before the text is gone

    /// Waits until `next()` has more to say than `later`.
    [[nodiscard]] auto until_more() {
        return sleeper.until([this] {
            if (on_cancellation([this] { cancel(); })) {
                await();
            } else {
                let_go();
                code = make_error_code(boost::system::errc::not_enough_memory);
                sleeper.try_post();
            }
        });
    }
    /// Whether the server has said that it has undone a COPY, and the session goes on.
    [[nodiscard]] bool was_undone() const noexcept {
        return code.category() == sqlstate_category() && said.severity != "FATAL" && said.severity != "PANIC";
    }
    /// Throws how it failed, if it did.
    void check() const {
        if (code.category() == sqlstate_category()) {
            throw error{code, said, text_};
        }
        if (code) {
            throw error{code, said};
        }
    }

private:
    const std::string text_;
    const parameters with_;
};

}  // namespace trunkline::detail
