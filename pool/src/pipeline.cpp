#include "pg/batch.hpp"
#include "pg/statement_text.hpp"
#include "running_statement.hpp"

#include <trunkline/connection.hpp>
#include <trunkline/pipeline.hpp>

#include <algorithm>
#include <utility>

namespace trunkline {

namespace {

error failure_of(const statement_outcome& one) { return error{one.code, one.said}; }

std::string words_of(std::size_t number, std::string_view sql, const std::vector<statement_outcome>& all) {
    const auto& message = all[number].said.message;
    return "statement " + std::to_string(number + 1) + " of " + std::to_string(all.size()) + ", " +
           std::string{pg::beginning_of(sql)} + (message.empty() ? "" : ": " + message);
}

delivery delivery_of(const pg::batch& all, std::size_t number) noexcept {
    const bool failed = number < all.answered && all.pieces[number].code;
    return failed || number < all.settled ? delivery::answered
           : number < all.sent            ? delivery::unknown
                                          : delivery::not_sent;
}

}  // namespace

// Here and not in the header, where g++ 12 would warn falsely, in the users' code, about the vectors' moves.
pipeline::pipeline() noexcept = default;
pipeline::pipeline(const pipeline&) = default;
pipeline::pipeline(pipeline&&) noexcept = default;
pipeline& pipeline::operator=(const pipeline&) = default;
pipeline& pipeline::operator=(pipeline&&) noexcept = default;
pipeline::~pipeline() = default;

void pipeline::append(std::string_view sql, parameters values) {
    statements_.push_back({std::string{sql}, std::move(values)});
}

const result& statement_outcome::value() const& {
    if (code) {
        throw failure_of(*this);
    }
    return rows;
}

result statement_outcome::value() && {
    if (code) {
        throw failure_of(*this);
    }
    return std::move(rows);
}

pipeline_error::pipeline_error(std::size_t number, std::string_view sql, std::vector<statement_outcome> outcomes)
    : error{outcomes.at(number).code, words_of(number, sql, outcomes), outcomes.at(number).said},
      number_{number},
      outcomes_{std::make_shared<const std::vector<statement_outcome>>(std::move(outcomes))} {}

namespace detail {

struct pipeline_access {
    static std::string_view text_of(const pipeline& of, std::size_t number) { return of.statements_[number].sql; }

    /// The statements as operations, which point into the pipeline.
    static std::vector<pg::operation> pieces_of(const pipeline& from) {
        std::vector<pg::operation> all(from.statements_.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].sql = from.statements_[i].sql;
            all[i].values = &from.statements_[i].values;
        }
        return all;
    }
};

}  // namespace detail

boost::asio::awaitable<std::vector<statement_outcome>> connection::try_run(const pipeline& statements,
                                                                           pipeline_options options) {
    auto pieces = detail::pipeline_access::pieces_of(statements);
    pg::batch all{.pieces = pieces, .atomic = options.atomic};
    detail::running_statement running;
    running.pieces = &all;
    running.timeout = options.timeout;
    try {
        if (owes_rollback()) {
            running.timeout = co_await settle(options.timeout);
        }
    } catch (const error& failed) {
        running.code = failed.code();
        running.said = failed.server_diagnostics();
    } catch (const boost::system::system_error& failed) {  // Asio's, into a coroutine that has been cancelled
        running.code = failed.code();
    }
    if (!running.code && session_ == nullptr) {  // in this order: what failed may have ended the connection
        running.code = pool_errc::lease_released;
    }
    if (!running.code && !pieces.empty()) {
        co_await running.sleeper.until([&] {
            // With a copy of its own: the frame and the lease may be gone before `start` has returned.
            running.start_on(session_);
        });
    }
    std::vector<statement_outcome> outcomes(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        auto& one = outcomes[i];
        one.how = delivery_of(all, i);
        const bool answered = one.how == delivery::answered;
        one.code = answered ? pieces[i].code : running.code;
        one.said = answered ? std::move(pieces[i].said) : running.said;
        if (!one.code) {
            one.rows = std::move(pieces[i].rows);
        }
    }
    co_return outcomes;
}

boost::asio::awaitable<std::vector<result>> connection::run(const pipeline& statements, pipeline_options options) {
    auto outcomes = co_await try_run(statements, options);
    auto failed = std::ranges::find_if(outcomes, [](const auto& one) {
        return one.code.failed() && one.code != pool_errc::pipeline_aborted;  // which is another one's doing
    });
    if (failed == outcomes.end()) {
        failed = std::ranges::find_if(outcomes, [](const auto& one) { return one.code.failed(); });
    }
    if (failed != outcomes.end()) {
        const auto number = static_cast<std::size_t>(failed - outcomes.begin());
        throw pipeline_error{number, detail::pipeline_access::text_of(statements, number), std::move(outcomes)};
    }
    std::vector<result> all;
    all.reserve(outcomes.size());
    for (auto& one : outcomes) {
        all.push_back(std::move(one.rows));
    }
    co_return all;
}

}  // namespace trunkline
