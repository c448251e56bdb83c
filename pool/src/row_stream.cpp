#include "running_transfer.hpp"

#include <trunkline/row_stream.hpp>

namespace trunkline {

namespace asio = boost::asio;

void detail::end_transfer::operator()(running_transfer* what) const noexcept { delete what; }

asio::awaitable<std::optional<row>> row_stream::next() {
    while (of_ != nullptr) {
        switch (of_->next()) {
        case pg::arrival::piece: ++rows_; co_return of_->row()[0];
        case pg::arrival::over: of_->check(); co_return std::nullopt;
        case pg::arrival::later: co_await of_->until_more(); break;
        }
    }
    co_return std::nullopt;
}

void row_stream::stop() noexcept { of_.reset(); }

}  // namespace trunkline
