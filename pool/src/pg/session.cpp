#include "session.hpp"

#include "session_link.hpp"

namespace trunkline::pg {

std::shared_ptr<session> session::open(boost::asio::any_io_executor executor, connection_handle connection, events to) {
    auto opened =
        std::make_shared<session>(std::make_shared<link>(std::move(executor), std::move(connection), std::move(to)));
    opened->link_->watch();  // from now on it lives until it is closed
    return opened;
}

session::~session() { link_->hang_up(); }

void session::start(operation& what) noexcept { link_->start(what); }

void session::hear(hearing& what) noexcept { link_->hear(what); }

bool session::take_notification(hearing& what) noexcept { return link_->take_notification(what); }

void session::cancel(operation& what) noexcept { link_->cancel(what); }

left session::end_use() noexcept { return link_->end_use(); }

void session::mend(operation& what) noexcept { link_->mend(what); }

bool session::is_read_only() const noexcept { return link_->is_read_only(); }

bool session::is_heard() const noexcept { return link_->is_heard(); }

session_state session::state() const noexcept { return link_->state(); }

std::optional<std::chrono::steady_clock::time_point> session::take_first_use() noexcept {
    return link_->take_first_use();
}

void session::close(error_code reason, std::function<void()> closed) noexcept {
    link_->close(reason, std::move(closed));
}

int session::backend_pid() const noexcept { return link_->backend_pid(); }

std::string session::server_parameter(const char* name) const { return link_->server_parameter(name); }

}  // namespace trunkline::pg
