#include "operations.hpp"

#include "schema.hpp"
#include "statements.hpp"
#include "synthetic_posts.hpp"

#include <limits>
#include <string>

namespace trunkline::stress {

namespace {

using boost::asio::awaitable;

/// Older posts and newer ones are not asked for alike: squaring favours one end of the catalogue, three to one.
std::size_t pick_post(const catalogue& posts, random_numbers& random) {
    const double place = random.fraction();
    return static_cast<std::size_t>(place * place * static_cast<double>(posts.size()));
}

/// A statement that the server refused was not carried out. If the session went with it, or nothing was heard from the
/// server, nobody knows.
write_outcome outcome_of(const error& problem) {
    const bool refused = !problem.sqlstate().empty() && problem.code() != errc::connection_lost;
    return refused ? write_outcome::refused : write_outcome::unknown;
}

awaitable<void> run_search(connection& on, const std::string& words) {
    const auto found = co_await on.query(statements::search, words);
    float before = std::numeric_limits<float>::max();
    for (const auto& each : found) {
        const auto rank = each.get<float>(statements::search_rank_column);
        if (rank > before) {
            throw wrong_answer("search for '" + words + "': the results are not in the order of their ranks");
        }
        before = rank;
    }
    if (found.size() > statements::search_limit) {
        throw wrong_answer("search for '" + words + "': " + std::to_string(found.size()) + " results");
    }
}

awaitable<void> run_read(connection& on, std::string id) {
    const auto found = co_await on.query(statements::read, id);
    if (found.size() != 1 || found[0].get<std::string_view>(0) != id) {
        throw wrong_answer("read of post " + id + ": the answer is not that post");
    }
}

awaitable<void> run_update(connection& on, std::size_t post, const catalogue& posts, ledger& book) {
    const auto id = posts.id(post);
    std::uint64_t changed = 0;
    try {
        changed = co_await on.execute(statements::update, id);
    } catch (const error& problem) {
        book.update_ended(post, outcome_of(problem));
        throw;
    }
    // More than one row is as wrong as none, but the point was given.
    book.update_ended(post, changed >= 1 ? write_outcome::acknowledged : write_outcome::refused);
    if (changed != 1) {
        throw wrong_answer("update of post " + id + ": " + std::to_string(changed) + " rows changed");
    }
}

awaitable<void> run_insert(connection& on, ledger& book, std::uint64_t seed) {
    const auto number = book.begin_insert();
    if (!number) {
        throw std::runtime_error("more inserts than can be told apart; make the run shorter");
    }
    post value;
    synthetic_posts maker{seed, 1};
    maker.next(value);
    value.id = post_id(first_inserted_post + *number);
    value.name = "t3_" + value.id;
    parameters values;
    add_post(values, value);
    std::uint64_t inserted = 0;
    try {
        const auto done = co_await on.query(statements::insert, std::move(values));
        inserted = done.rows_affected();
    } catch (const error& problem) {
        book.insert_ended(*number, outcome_of(problem));
        throw;
    }
    book.insert_ended(*number, inserted == 1 ? write_outcome::acknowledged : write_outcome::refused);
    if (inserted != 1) {
        throw wrong_answer("insert of post " + value.id + ": " + std::to_string(inserted) + " rows");
    }
}

}  // namespace

awaitable<void> perform(operation which, connection& on, operation_context with, random_numbers& random) {
    // Not a coroutine itself: a frame for each would be one frame too many.
    switch (which) {
    case operation::search: return run_search(on, with.terms.pick(random.next()));
    case operation::read: return run_read(on, with.posts.id(pick_post(with.posts, random)));
    case operation::update: return run_update(on, pick_post(with.posts, random), with.posts, with.book);
    case operation::insert: return run_insert(on, with.book, random.next());
    }
    throw std::logic_error("no such operation");
}

}  // namespace trunkline::stress
