#include "running_transfer.hpp"

#include <trunkline/row_stream.hpp>

namespace trunkline {

namespace asio = boost::asio;

void detail::end_transfer::operator()(running_transfer* what) const noexcept { delete what; }

asio::awaitable<std::optional<row>> row_stream::next() {
    for (;;) {
        if (of_ == nullptr) {
            co_return std::nullopt;
        }
        if (place_ < of_->row().size()) {
            ++rows_;
            co_return of_->row()[place_++];
        }
        switch (of_->next()) {
        case pg::arrival::piece: place_ = 0; break;
        case pg::arrival::over: of_->check(); co_return std::nullopt;
        case pg::arrival::later: co_await of_->until_more(); break;
        }
    }
}

void row_stream::stop() noexcept { of_.reset(); }

}  // namespace trunkline
